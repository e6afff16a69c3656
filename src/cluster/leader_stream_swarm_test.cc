// Random histories of streams: leases that several devices have, updates sent again, leaders that
// die. At the end each lease is in the parameters once, and all of them have been committed.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"
#include "cluster/leader_testing.h"

namespace weft::cluster {
namespace {

using aggregate::Mode;
using testing::LayoutOf;
using testing::Leaders;
using testing::Packet;
using testing::WorkerAt;

constexpr int64_t kLeases = 60;
constexpr int64_t kSamples = 2;
constexpr int64_t kBatch = 8;
constexpr double kRate = 0.01;

JobSpec Spec(Mode mode) {
  JobSpec spec;
  spec.samples = kLeases * kSamples;
  spec.batch = kBatch;
  spec.trainable_count = 2;
  spec.aggregation.mode = mode;
  spec.aggregation.buffer = 3;
  spec.aggregation.staleness_exponent = 0;
  return spec;
}

Lease LeaseOf(int64_t i) {
  return {.id = static_cast<uint64_t>(i / 4 * kLeaseIdsPerStep + i % 4) + 1,
          .step = i / 4,
          .slot = i % 4,
          .begin = i * kSamples,
          .count = kSamples};
}
// No two sums of different leases are likely to be equal.
float GradientOf(int64_t lease) {
  return static_cast<float>(1 + base::Rng(static_cast<uint64_t>(lease)).NextUniform());
}

class History {
 public:
  History(Mode mode, uint64_t seed)
      : mode_(mode), rng_(seed), leaders_(Spec(mode), {0, 0, {0, 0}, {}}) {
    for (DeviceId device : {1u, 2u, 3u}) leaders_.Add(device);
    leaders_.Move(LayoutOf(number_++, {{kFirst, 1, 2}, {kSecond, 2, 3}}));
    leaders_.Forget();
  }

  void Play() {
    BeginAll();
    int turns = 0;
    while (!Done()) {
      ASSERT_LT(++turns, 100000) << "it does not end";
      if (next_ < kLeases && rng_.NextBelow(4) == 0) Deal();
      if (!pushed_.empty() && rng_.NextBelow(2) == 0) Send(rng_.NextBelow(pushed_.size()));
      if (!leaders_.wire().empty()) leaders_.DeliverAt(rng_.NextBelow(leaders_.wire().size()));
      if (deaths_ < 2 && rng_.NextBelow(150) == 0) ReplaceALeader();
      // What is left in a buffer comes out at the end.
      if (mode_ == Mode::kBuffered && next_ == kLeases && turns % 200 == 0) EndAll();
      Hear();
    }
    EndAll();
    leaders_.Deliver();
    EXPECT_EQ(leaders_.Heard<StreamEnded>().size(), 2u);
    leaders_.Move(LayoutOf(number_++, {{{0, 2}, 0, 0}}));
  }

  std::span<const float> Parameters() { return leaders_.At(0).parameters(); }
  int deaths() const { return deaths_; }

 private:
  static constexpr Range kFirst = {0, 1}, kSecond = {1, 1};
  struct Out {
    Push push;
    std::set<Range> settled;
  };

  void BeginAll() {
    for (const Layout::Part& part : leaders_.layout().parts) {
      leaders_.Order(part.leader.device, BeginStream{1, part.range, static_cast<uint8_t>(mode_)});
    }
  }
  void EndAll() {
    const int64_t next_step = Done() ? 100 : 0;  // leases of steps before it are over
    for (const Layout::Part& part : leaders_.layout().parts) {
      leaders_.Order(part.leader.device, EndStream{1, part.range, false, next_step});
    }
    leaders_.Deliver();
    if (!Done()) {
      leaders_.Heard<StreamEnded>();
      BeginAll();
    }
  }
  // A lease to one or two devices.
  void Deal() {
    for (uint64_t i = 0; i <= rng_.NextBelow(2); ++i) {
      const auto device = static_cast<DeviceId>(100 + i);
      pushed_.push_back({.push = {.term = 1,
                                  .device = device,
                                  .incarnation = 9,
                                  .sequence = static_cast<uint64_t>(next_) + 1,
                                  .lease = LeaseOf(next_),
                                  .version = 0,
                                  .gradient = Packet({GradientOf(next_)}),
                                  .lr = kRate},
                         .settled = {}});
    }
    ++next_;
  }
  void Send(size_t at) {
    const Out& out = pushed_[at];
    for (const Layout::Part& part : leaders_.layout().parts) {
      if (out.settled.contains(part.range)) continue;
      Push push = out.push;
      push.range = part.range;
      leaders_.Tell(part.leader.device, WorkerAt(push.device), push);
    }
  }

  void Hear() {
    for (const Committed& record : leaders_.Heard<Committed>()) {
      ASSERT_EQ(record.problem, "");
      for (const Lease& lease : record.leases) committed_[record.range].insert(lease.id);
    }
    for (const Envelope& envelope : leaders_.HeardFor<PushAck>()) {
      const auto& ack = std::get<PushAck>(envelope.message);
      for (Out& out : pushed_) {
        if (out.push.device == envelope.to.device && out.push.sequence == ack.sequence) {
          out.settled.insert(ack.range);
        }
      }
    }
  }
  bool Done() const {
    return next_ == kLeases && committed_.size() == 2 &&
           std::ranges::all_of(committed_, [](const auto& entry) {
             return entry.second.size() == static_cast<size_t>(kLeases);
           });
  }

  // One leader dies, its standby takes over, and gets no standby any more.
  void ReplaceALeader() {
    Layout next = leaders_.layout();
    next.number = number_++;
    const size_t at = deaths_ == 0 ? 0 : 1;  // device 1, then what leads the second range
    const DeviceId dead = next.parts[at].leader.device;
    for (Layout::Part& part : next.parts) {
      if (part.leader.device == dead) {
        if (part.standby == 0) return;
        part.leader.device = part.standby;
        part.standby = 0;
      }
      if (part.standby == dead) part.standby = 0;
    }
    ++deaths_;
    leaders_.Kill(dead);
    leaders_.Hold(next);
    BeginAll();
  }

  const Mode mode_;
  base::Rng rng_;
  Leaders leaders_;
  uint64_t number_ = 2;
  int64_t next_ = 0;  // lease to deal
  int deaths_ = 0;
  std::vector<Out> pushed_;
  std::map<Range, std::set<uint64_t>> committed_;
};

TEST(LeaderStreamSwarm, EachLeaseIsInTheParametersOnce) {
  double want = 0;
  for (int64_t lease = 0; lease < kLeases; ++lease) {
    want -= kRate * kSamples / kBatch * static_cast<double>(GradientOf(lease));
  }
  int deaths = 0;
  for (const Mode mode : {Mode::kAsync, Mode::kSsp, Mode::kBuffered}) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
      History history(mode, seed);
      history.Play();
      ASSERT_FALSE(HasFailure()) << "mode " << static_cast<int>(mode) << " seed " << seed;
      // One lease more or less would be 0.0025 to 0.005.
      for (const float got : history.Parameters()) {
        ASSERT_NEAR(got, want, 1e-5) << "mode " << static_cast<int>(mode) << " seed " << seed;
      }
      deaths += history.deaths();
    }
  }
  EXPECT_GT(deaths, 60) << "too few deaths to show anything";
}

}  // namespace
}  // namespace weft::cluster
