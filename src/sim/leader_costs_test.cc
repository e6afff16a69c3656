#include "sim/leader_costs.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using cluster::Range;

LeaderCosts Costs() {
  return {{.message_seconds = 0.001, .push_seconds = 1, .apply_seconds = 2, .send_seconds = 4},
          100};
}

cluster::Actions Saying(cluster::Message message) {
  return {cluster::Emit{}, cluster::Send{{}, std::move(message)}};
}

TEST(LeaderCosts, ARangeTakesItsShare) {
  const LeaderCosts costs = Costs();
  EXPECT_DOUBLE_EQ(costs.Receive(cluster::Pull{}), 0.001);
  EXPECT_DOUBLE_EQ(costs.Receive(cluster::Push{}), 1.001) << "without a range: all";
  EXPECT_DOUBLE_EQ(costs.Receive(cluster::Push{.range = Range{50, 25}}), 0.251);
  EXPECT_DOUBLE_EQ(costs.Receive(cluster::Replicate{.range = Range{50, 25}}), 0.251);
  EXPECT_DOUBLE_EQ(costs.Send(cluster::PushAck{}), 0);
  EXPECT_DOUBLE_EQ(costs.Send(cluster::Parameters{.range = Range{0, 50}}), 2);
  EXPECT_DOUBLE_EQ(costs.Forward(cluster::Push{.range = Range{0, 50}}), 4);
}

TEST(LeaderCosts, AnUpdateIsAppliedOnce) {
  const LeaderCosts costs = Costs();
  const Range half{0, 50};
  const cluster::Committed done{.range = half};
  const cluster::Push push{.range = half};
  EXPECT_DOUBLE_EQ(costs.Apply(push, Saying(cluster::PushAck{})), 0);
  EXPECT_DOUBLE_EQ(costs.Apply(push, Saying(done)), 1);
  // With a standby: at the leader, at the standby, and not again when it has confirmed.
  EXPECT_DOUBLE_EQ(costs.Apply(push, Saying(cluster::Replicate{.range = half})), 1);
  EXPECT_DOUBLE_EQ(costs.Apply(cluster::Replicate{}, Saying(cluster::Replicated{.range = half})),
                   1);
  EXPECT_DOUBLE_EQ(costs.Apply(cluster::Replicated{}, Saying(done)), 0);
}

}  // namespace
}  // namespace weft::sim
