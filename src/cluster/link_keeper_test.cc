#include "cluster/link_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using codec::Target;
using codec::ValueKind;
using testing::HasSubstr;

constexpr int64_t kMillion = 1 << 20;  // values
// Bytes a second that carry one bit a value in a tenth of a second, one way.
constexpr double kBit = 10 * kMillion / 8;
constexpr Target kDense = {.density = 1, .values = ValueKind::kFloat32};
constexpr Target kLeast = {.density = 0.001, .values = ValueKind::kInt2};

LinkKeeperOptions BothWays() {
  return {.up = true,
          .down = true,
          .limits = {.budget = 0.1, .least_density = 0.001, .most_local_steps = 64},
          .values = kMillion,
          .tensors = {}};
}

// Computes its share of a batch in a second. `bits`: of a value, that its link carries both ways
// within the budget of one step.
LinkKeeper::Member Member(DeviceId device, double bits, double round_trip_s = 0) {
  const double rate = 2 * bits * kBit;
  return {.device = device, .step_seconds = 1, .link = {rate, rate, round_trip_s}};
}
// Each of its updates of 0.1 % of the values takes the time of two steps.
LinkKeeper::Member Poor(DeviceId device) { return Member(device, 0.011); }

TEST(LinkKeeper, BeforeLinksAreKnownAllSendAll) {
  LinkKeeper keeper(BothWays());
  EXPECT_EQ(keeper.UpOf(1), kDense);
  EXPECT_FALSE(keeper.Update(std::vector<LinkKeeper::Member>{{.device = 1}, {.device = 2}}));
  EXPECT_TRUE(keeper.active());
  EXPECT_TRUE(keeper.is_dense());
  EXPECT_EQ(keeper.local_steps(), 1);
  EXPECT_EQ(keeper.UpOf(1), kDense);
  EXPECT_EQ(keeper.down(), kDense);
  EXPECT_EQ(keeper.count(), (LinkKeeper::Count{.dense = 2, .all = 2}));
}

TEST(LinkKeeper, EachDeviceSendsWhatItsLinkCarries) {
  LinkKeeper keeper(BothWays());
  EXPECT_TRUE(keeper.Update(std::vector{Member(1, 40), Member(2, 17), Member(3, 1.6)}));
  EXPECT_EQ(keeper.local_steps(), 1);
  EXPECT_EQ(keeper.UpOf(1), kDense);
  EXPECT_EQ(keeper.UpOf(2), (Target{.density = 1, .values = ValueKind::kFloat16}));
  EXPECT_EQ(keeper.UpOf(3), (Target{.density = 0.25, .values = ValueKind::kInt2}));
  EXPECT_EQ(keeper.down(), keeper.UpOf(3)) << "all are sent the same";
  EXPECT_THAT(keeper.words(), HasSubstr("25 % of the values as int2"));
  EXPECT_EQ(keeper.count(), (LinkKeeper::Count{.dense = 1, .all = 3}));
  EXPECT_FALSE(keeper.is_dense());
  EXPECT_EQ(keeper.UpOf(9), kDense) << "of a device that has just come nothing is known";
}

TEST(LinkKeeper, AllMakeAsManyLocalStepsAsThePoorestAsksFor) {
  LinkKeeper keeper(BothWays());
  EXPECT_TRUE(keeper.Update(std::vector{Member(1, 17), Poor(2)}));
  EXPECT_EQ(keeper.local_steps(), 2);
  EXPECT_EQ(keeper.UpOf(2), kLeast);
  EXPECT_EQ(keeper.UpOf(1), kDense) << "in two steps its link carries twice as much";
  EXPECT_EQ(keeper.down(), kLeast);
  EXPECT_THAT(keeper.words(), HasSubstr("0.1 % of the values as int2"));
}

TEST(LinkKeeper, NoMoreLocalStepsThanTheJobAllows) {
  LinkKeeperOptions options = BothWays();
  options.limits.most_local_steps = 1;
  LinkKeeper keeper(options);
  EXPECT_TRUE(keeper.Update(std::vector{Poor(1)}));
  EXPECT_EQ(keeper.local_steps(), 1);
  EXPECT_EQ(keeper.UpOf(1), kLeast);
}

TEST(LinkKeeper, WithoutThePoorestTheOthersAreAsBefore) {
  LinkKeeper keeper(BothWays());
  keeper.Update(std::vector{Member(1, 40), Poor(2)});
  EXPECT_TRUE(keeper.Update(std::vector{Member(1, 40)}));
  EXPECT_EQ(keeper.local_steps(), 1);
  EXPECT_TRUE(keeper.is_dense());
  EXPECT_EQ(keeper.count(), (LinkKeeper::Count{.dense = 1, .all = 1}));
  EXPECT_TRUE(keeper.Update(std::vector{Member(1, 40), Poor(2)}));
  EXPECT_EQ(keeper.local_steps(), 2);
}

// Dense takes a tenth of computing at 32 bits.
TEST(LinkKeeper, AChoiceIsHeldWhileItIsBearable) {
  LinkKeeper keeper(BothWays());
  EXPECT_FALSE(keeper.Update(std::vector{Member(1, 33)})) << "dense, as before";
  EXPECT_FALSE(keeper.Update(std::vector{Member(1, 28)})) << "a little above the budget";
  EXPECT_EQ(keeper.UpOf(1), kDense);
  EXPECT_TRUE(keeper.Update(std::vector{Member(1, 20)}));
  EXPECT_EQ(keeper.UpOf(1), (Target{.density = 1, .values = ValueKind::kFloat16}));
  EXPECT_FALSE(keeper.Update(std::vector{Member(1, 33)})) << "what was given up only just fits";
  EXPECT_TRUE(keeper.Update(std::vector{Member(1, 66)}));
  EXPECT_EQ(keeper.UpOf(1), kDense);
}

TEST(LinkKeeper, ChoosesOnlyWhatTheJobLeavesToIt) {
  LinkKeeperOptions options = BothWays();
  options.down = false;
  LinkKeeper up(options);
  up.Update(std::vector{Poor(1)});
  EXPECT_EQ(up.down(), std::nullopt);
  EXPECT_NE(up.UpOf(1), kDense);
  options.down = true;
  options.up = false;
  LinkKeeper down(options);
  down.Update(std::vector{Poor(1)});
  EXPECT_EQ(down.UpOf(1), std::nullopt);
  EXPECT_EQ(down.down(), kLeast);
  options.down = false;
  EXPECT_FALSE(LinkKeeper(options).active());
}

TEST(LinkKeeper, SaysWhatSendingAllWouldTake) {
  const LinkKeeper keeper(BothWays());
  // 32 bits each way.
  EXPECT_NEAR(keeper.DenseShare(std::vector{Member(1, 320), Member(2, 3.2)}), 1, 1e-3);
  EXPECT_EQ(keeper.DenseShare(std::vector<LinkKeeper::Member>{{.device = 1}}), 0);
  LinkKeeperOptions options = BothWays();
  options.down = false;
  options.down_bytes = 0;
  EXPECT_NEAR(LinkKeeper(options).DenseShare(std::vector{Member(2, 3.2)}), 0.5, 1e-3);
}

}  // namespace
}  // namespace weft::cluster
