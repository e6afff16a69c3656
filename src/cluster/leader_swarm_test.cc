// Random histories of synchronous steps: through any number of ranges, with standbys, moves between
// steps and leaders that die in the middle of one, the parameters are those of one leader that has
// all, bit for bit.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "cluster/leader_testing.h"

namespace weft::cluster {
namespace {

using testing::kCoordinator;
using testing::LayoutOf;
using testing::Leaders;
using testing::Packet;
using testing::PartOf;
using testing::WorkerAt;

constexpr int64_t kSlots = 3;
constexpr int64_t kSteps = 25;

JobSpec Spec(bool adamw) {
  JobSpec spec;
  spec.samples = spec.batch = 12;
  spec.deterministic = true;
  spec.slots = kSlots;
  spec.trainable_count = 37;
  spec.statistics = {{37, 5, 0.1}, {42, 3, 0.5}};
  spec.optimizer.momentum = adamw ? 0 : 0.9;
  spec.optimizer.nesterov = true;
  spec.optimizer.weight_decay = 0.01;
  if (adamw) spec.optimizer.kind = engine::OptimizerOptions::Kind::kAdamw;
  return spec;
}

Snapshot Start(const JobSpec& spec) {
  Snapshot start;
  for (int64_t i = 0; i < spec.parameter_count(); ++i) {
    start.parameters.push_back(0.1f * static_cast<float>(i));
  }
  return start;
}

Lease LeaseOf(int64_t step, int64_t slot) {
  return {.id = static_cast<uint64_t>(step * kLeaseIdsPerStep + slot) + 1,
          .step = step,
          .slot = slot,
          .begin = 4 * slot,
          .count = 4};
}

BeginStep Begin(int64_t step, const Range& range) {
  BeginStep begin{.term = 1, .step = step, .total_samples = 12, .lr = 0.05};
  for (int64_t slot = 0; slot < kSlots; ++slot) begin.leases.push_back(LeaseOf(step, slot));
  begin.range = range;
  begin.version = step;
  return begin;
}

// What the worker of a slot makes of a step, of the whole vector.
std::vector<float> GradientOf(int64_t step, int64_t slot, int64_t n) {
  base::Rng rng(base::DeriveSeed(static_cast<uint64_t>(step), static_cast<uint64_t>(slot)));
  std::vector<float> gradient(static_cast<size_t>(n));
  for (float& value : gradient) value = static_cast<float>(rng.NextNormal());
  return gradient;
}

Push PushOf(int64_t step, int64_t slot, const Range& range, int64_t n) {
  const std::vector<float> whole = GradientOf(step, slot, n);
  const auto begin = whole.begin() + range.begin;
  return {.term = 1,
          .device = static_cast<DeviceId>(100 + slot),
          .incarnation = 7,
          .sequence = static_cast<uint64_t>(step) + 1,
          .lease = LeaseOf(step, slot),
          .version = step,
          .loss_sum = 1,
          .correct = 1,
          .gradient = Packet({begin, begin + range.count}),
          .range = range};
}

std::vector<float> FlatResult(const JobSpec& spec) {
  const auto leader = Leader::Make(spec, Start(spec)).value();
  const Range all = {0, spec.parameter_count()};
  for (int64_t step = 0; step < kSteps; ++step) {
    leader->Handle({}, kCoordinator, Begin(step, all));
    for (int64_t slot = 0; slot < kSlots; ++slot) {
      const Push push = PushOf(step, slot, all, all.count);
      leader->Handle({}, WorkerAt(push.device), push);
    }
  }
  EXPECT_EQ(leader->version(), kSteps);
  return {leader->parameters().begin(), leader->parameters().end()};
}

// Coordinator and workers of a run, as little of them as will do.
class History {
 public:
  History(const JobSpec& spec, uint64_t seed)
      : spec_(spec), rng_(seed), leaders_(spec, Start(spec)) {
    for (DeviceId device = 1; device <= 5; ++device) AddDevice();
  }

  void Steps() {
    for (int64_t step = 0; step < kSteps; ++step) {
      if (rng_.NextBelow(3) == 0) leaders_.Move(RandomLayout());
      Step(step);
      if (::testing::Test::HasFailure()) return;
    }
    leaders_.Move(LayoutOf(number_++, {{All(), 0, 0}}));
  }
  std::span<const float> Result() { return leaders_.At(0).parameters(); }
  int kills() const { return kills_; }
  int64_t acknowledged() const { return acknowledged_; }

 private:
  Range All() const { return {0, spec_.parameter_count()}; }
  void AddDevice() {
    leaders_.Add(next_device_);
    devices_.push_back(next_device_++);
  }
  DeviceId RandomDevice() { return devices_[rng_.NextBelow(devices_.size())]; }

  Layout RandomLayout() {
    constexpr int64_t kCounts[] = {1, 2, 5};
    const auto parts = static_cast<size_t>(kCounts[rng_.NextBelow(3)]);
    std::vector<int64_t> cuts = {0, All().count};
    while (cuts.size() < parts + 1) {
      const auto cut =
          static_cast<int64_t>(1 + rng_.NextBelow(static_cast<uint64_t>(All().count - 1)));
      if (std::ranges::find(cuts, cut) == cuts.end()) cuts.push_back(cut);
    }
    std::ranges::sort(cuts);
    std::vector<PartOf> layout;
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      PartOf part{.range = {cuts[i], cuts[i + 1] - cuts[i]}};
      part.leader = rng_.NextBelow(4) == 0 ? 0 : RandomDevice();
      if (rng_.NextBelow(4) != 0) part.standby = RandomDevice();
      if (part.standby == part.leader) part.standby = 0;
      layout.push_back(part);
    }
    return LayoutOf(number_++, layout);
  }

  void Step(int64_t step) {
    committed_.clear();
    for (const Layout::Part& part : leaders_.layout().parts) {
      leaders_.Order(part.leader.device, Begin(step, part.range));
    }
    PushAll(step);
    int turns = 0;
    kills_in_step_ = 0;
    while (!AllCommitted()) {
      ASSERT_LT(++turns, 20000) << "step " << step << " does not end";
      if (kills_in_step_ < 3 && rng_.NextBelow(40) == 0) Kill(step);
      if (todo_.empty() && leaders_.wire().empty()) Repeat(step);
      Turn();
      Hear(step);
    }
  }

  // The workers' updates of every range, some of them twice.
  void PushAll(int64_t step) {
    todo_.clear();
    for (const Layout::Part& part : leaders_.layout().parts) {
      for (int64_t slot = 0; slot < kSlots; ++slot) {
        const Push push = PushOf(step, slot, part.range, All().count);
        for (uint64_t i = 0; i <= rng_.NextBelow(2); ++i) todo_.push_back({part.leader, push});
      }
    }
  }
  void Repeat(int64_t step) {
    for (const Layout::Part& part : leaders_.layout().parts) {
      leaders_.Order(part.leader.device, Begin(step, part.range));
    }
    PushAll(step);
  }

  void Turn() {
    const size_t wire = leaders_.wire().size();
    const auto at = static_cast<size_t>(rng_.NextBelow(std::max<size_t>(wire + todo_.size(), 1)));
    if (at < wire) {
      leaders_.DeliverAt(at);
    } else if (!todo_.empty()) {
      const auto [to, push] = todo_[at - wire];
      todo_.erase(todo_.begin() + static_cast<std::ptrdiff_t>(at - wire));
      leaders_.Tell(to.device, WorkerAt(push.device), push);
    }
  }

  // A device dies; the standbys of what it led take over, and everything is said again. One that
  // leads what nobody stands by for has to live.
  void Kill(int64_t step) {
    const size_t at = rng_.NextBelow(devices_.size());
    const DeviceId dead = devices_[at];
    Layout next = leaders_.layout();
    next.number = number_;
    for (Layout::Part& part : next.parts) {
      if (part.leader.device == dead) {
        if (part.standby == 0) return;
        part.leader.device = part.standby;
        part.standby = 0;
      }
      if (part.standby == dead) part.standby = 0;
    }
    ++number_;
    ++kills_;
    ++kills_in_step_;
    leaders_.Kill(dead);
    devices_.erase(devices_.begin() + static_cast<std::ptrdiff_t>(at));
    AddDevice();
    leaders_.Hold(next);
    Repeat(step);
  }

  void Hear(int64_t step) {
    for (const Committed& record : leaders_.Heard<Committed>()) {
      ASSERT_EQ(record.problem, "");
      if (record.step != step) continue;
      ASSERT_EQ(record.version, step + 1);
      ASSERT_EQ(record.leases.size(), static_cast<size_t>(kSlots));
      committed_.insert(record.range);
    }
    for (const PushAck& ack : leaders_.Heard<PushAck>()) {
      ASSERT_TRUE(ack.applied) << "step " << step;
      ++acknowledged_;
    }
    for (const Seated& seated : leaders_.Heard<Seated>()) ASSERT_EQ(seated.problem, "");
    ASSERT_THAT(leaders_.Heard<Fault>(), ::testing::IsEmpty());
  }
  bool AllCommitted() const {
    return std::ranges::all_of(leaders_.layout().parts, [&](const Layout::Part& part) {
      return committed_.contains(part.range);
    });
  }

  const JobSpec spec_;
  base::Rng rng_;
  Leaders leaders_;
  std::vector<DeviceId> devices_;
  DeviceId next_device_ = 1;
  uint64_t number_ = 2;
  int kills_ = 0;
  int kills_in_step_ = 0;
  int64_t acknowledged_ = 0;
  std::vector<std::pair<Address, Push>> todo_;
  std::set<Range> committed_;
};

TEST(LeaderSwarm, AnyLayoutAndAnyDeathGivesTheParametersOfOneLeader) {
  int kills = 0;
  for (const bool adamw : {false, true}) {
    const JobSpec spec = Spec(adamw);
    const std::vector<float> want = FlatResult(spec);
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      History run(spec, seed);
      run.Steps();
      ASSERT_FALSE(HasFailure()) << "seed " << seed;
      ASSERT_TRUE(std::ranges::equal(run.Result(), want)) << "seed " << seed;
      EXPECT_GT(run.acknowledged(), 0);
      kills += run.kills();
    }
  }
  EXPECT_GT(kills, 200) << "too few deaths to show anything";
}

}  // namespace
}  // namespace weft::cluster
