// Steps that do not wait for all, rules other than the mean, and local steps.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/leader_testing.h"

namespace weft::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::IsEmpty;
using testing::Leaders;
using testing::Packet;
using ::testing::SizeIs;
using testing::WorkerAt;

Lease LeaseOf(int64_t step, int64_t slot) {
  return {.id = static_cast<uint64_t>(step * kLeaseIdsPerStep + slot) + 1,
          .step = step,
          .slot = slot,
          .begin = 4 * slot,
          .count = 4};
}

JobSpec Spec() {
  JobSpec spec;
  spec.samples = spec.batch = 12;
  spec.slots = 3;
  spec.trainable_count = 1;
  return spec;
}

class LeaderQuorum : public ::testing::Test {
 protected:
  void Start(const JobSpec& spec) {
    std::vector<float> start(static_cast<size_t>(spec.parameter_count()), 10.0f);
    leaders_ = std::make_unique<Leaders>(spec, Snapshot{0, 0, std::move(start), {}});
  }
  void Begin(int64_t step, int64_t quorum, const std::vector<Lease>& late = {}) {
    BeginStep begin{.term = 1, .step = step, .total_samples = 12, .lr = 1};
    for (int64_t slot = 0; slot < 3; ++slot) begin.leases.push_back(LeaseOf(step, slot));
    begin.leases.insert(begin.leases.end(), late.begin(), late.end());
    begin.quorum_samples = quorum;
    begin.version = step;
    leaders_->Order(0, begin);
  }
  // The worker of a slot pushes a gradient of this value.
  void Push(int64_t step, int64_t slot, const std::vector<float>& gradient) {
    const cluster::Push push{.term = 1,
                             .device = static_cast<DeviceId>(slot + 1),
                             .incarnation = 5,
                             .sequence = static_cast<uint64_t>(step) + 1,
                             .lease = LeaseOf(step, slot),
                             .version = step,
                             .loss_sum = 4,
                             .correct = 1,
                             .gradient = Packet(gradient)};
    leaders_->Tell(0, WorkerAt(push.device), push);
  }
  std::span<const float> Parameters() { return leaders_->At(0).parameters(); }
  std::unique_ptr<Leaders> leaders_;
};

TEST_F(LeaderQuorum, AppliesWhatHasComeNormalisedByIt) {
  Start(Spec());
  Begin(0, 8);
  Push(0, 2, {1});
  EXPECT_THAT(leaders_->Heard<Committed>(), IsEmpty());
  Push(0, 0, {3});
  const Committed record = leaders_->Heard<Committed>().at(0);
  EXPECT_THAT(record.leases, ElementsAre(LeaseOf(0, 0), LeaseOf(0, 2)));
  EXPECT_THAT(record.devices, ElementsAre(1, 3));
  EXPECT_EQ(record.samples, 8);
  EXPECT_THAT(Parameters(), ElementsAre(8)) << "less the mean of 1 and 3";
}

TEST_F(LeaderQuorum, TheLateOneThatIsNamedAgainIsOfTheNextStep) {
  for (const bool early : {true, false}) {
    JobSpec spec = Spec();
    spec.aggregation.staleness_exponent = 1;
    Start(spec);
    Begin(0, 8);
    Push(0, 0, {2});
    Push(0, 1, {2});
    EXPECT_THAT(leaders_->Heard<PushAck>(), SizeIs(2));
    if (early) Push(0, 2, {8});  // between the steps
    EXPECT_THAT(leaders_->Heard<PushAck>(), IsEmpty());
    EXPECT_EQ(leaders_->At(0).kept(), early ? 1u : 0u);
    Begin(1, 0, {LeaseOf(0, 2)});
    if (!early) Push(0, 2, {8});
    for (int64_t slot : {0, 1, 2}) Push(1, slot, {1});
    EXPECT_THAT(Parameters(), ElementsAre(FloatNear(8 - (3 * 4 * 1 + 4 * 8) / 16.0f, 1e-6f)));
    const Committed record = leaders_->Heard<Committed>().back();
    EXPECT_EQ(record.samples, 16);
    EXPECT_EQ(record.leases.back(), LeaseOf(0, 2));
    EXPECT_THAT(leaders_->Heard<PushAck>(), SizeIs(4));
  }
}

TEST_F(LeaderQuorum, WhatTheNextStepDoesNotNameIsRefused) {
  Start(Spec());
  Begin(0, 8);
  Push(0, 0, {2});
  Push(0, 1, {2});
  Push(0, 2, {8});
  leaders_->Forget();
  Begin(1, 0);
  const auto acks = leaders_->Heard<PushAck>();
  ASSERT_THAT(acks, SizeIs(1));
  EXPECT_FALSE(acks[0].applied);
  EXPECT_EQ(leaders_->At(0).kept(), 0u);
}

// ---- leases that are left out

TEST_F(LeaderQuorum, AStepSaidAgainWithFewerLeasesWaitsForThoseOnly) {
  Start(Spec());
  Begin(0, 0);
  Push(0, 2, {1});
  BeginStep rest{.term = 1, .step = 0, .leases = {LeaseOf(0, 0)}, .lr = 1};
  leaders_->Order(0, rest);
  EXPECT_THAT(leaders_->Heard<Committed>(), IsEmpty());
  leaders_->Order(0, AskMissing{1, 0, {0, 1}});
  EXPECT_THAT(leaders_->Heard<Missing>().at(0).slots, ElementsAre(0));
  Push(0, 0, {3});
  const Committed record = leaders_->Heard<Committed>().at(0);
  EXPECT_THAT(record.leases, ElementsAre(LeaseOf(0, 0), LeaseOf(0, 2)));
  EXPECT_EQ(record.samples, 8);
  EXPECT_THAT(Parameters(), ElementsAre(8));
}

TEST_F(LeaderQuorum, AStepOfNothingIsAVersionOfTheSameParameters) {
  JobSpec spec = Spec();
  spec.optimizer.momentum = 0.9;
  Start(spec);
  Begin(0, 0);
  for (int64_t slot : {0, 1, 2}) Push(0, slot, {1});
  const float before = Parameters()[0];
  Begin(1, 0);
  leaders_->Forget();
  const BeginStep nothing{.term = 1, .step = 1, .lr = 1, .version = 1};
  leaders_->Order(0, nothing);
  const Committed record = leaders_->Heard<Committed>().at(0);
  EXPECT_THAT(record.leases, IsEmpty());
  EXPECT_EQ(record.samples, 0);
  EXPECT_EQ(record.version, 2);
  EXPECT_EQ(Parameters()[0], before) << "momentum did not move it either";
  leaders_->Order(0, nothing);
  EXPECT_THAT(leaders_->Heard<Committed>(), SizeIs(1)) << "said again";
  Begin(2, 0);
  for (int64_t slot : {0, 1, 2}) Push(2, slot, {1});
  EXPECT_THAT(leaders_->Heard<Committed>(), SizeIs(1));
}

TEST_F(LeaderQuorum, SaysWhichOfAllLeasesAreMissing) {
  Start(Spec());
  Begin(0, 8);
  Push(0, 0, {2});
  Push(0, 1, {2});
  Begin(1, 0, {LeaseOf(0, 2)});
  Push(1, 1, {1});
  leaders_->Order(0, AskMissing{1, 1, {0, 1}});
  EXPECT_THAT(leaders_->Heard<Missing>().at(0).slots, ElementsAre(0, 2, 3));
}

TEST_F(LeaderQuorum, TheMedianBearsWithALiar) {
  JobSpec spec = Spec();
  spec.aggregation.combine = aggregate::Combine::kMedian;
  Start(spec);
  Begin(0, 0);
  Push(0, 0, {1});
  Push(0, 1, {-1e6f});
  Push(0, 2, {2});
  EXPECT_THAT(Parameters(), ElementsAre(9));
}

// ---- local steps

// FedAvg: with (1, 0) the new parameters are the mean of what the devices came to.
TEST_F(LeaderQuorum, FedAvgIsTheMeanOfTheModels) {
  JobSpec spec = Spec();
  spec.trainable_count = 1;
  spec.statistics = {{1, 1, 0.1}};
  spec.optimizer.weight_decay = 0.5;  // the devices' own
  spec.aggregation.local_steps = 2;
  spec.aggregation.outer_lr = 1;
  spec.aggregation.outer_momentum = 0;
  Start(spec);
  Begin(0, 0);
  // They came to 7, 9 and 5, and measured 1, 2 and 6.
  Push(0, 0, {3, 1});
  Push(0, 1, {1, 2});
  Push(0, 2, {5, 6});
  EXPECT_THAT(Parameters(), ElementsAre(FloatNear(7, 1e-6f), FloatNear(3, 1e-6f)));
}

// DiLoCo: v = mu v + g; w -= lr (g + mu v).
TEST_F(LeaderQuorum, TheOuterOptimizerIsNesterovs) {
  JobSpec spec = Spec();
  spec.aggregation.local_steps = 8;
  Start(spec);
  double v = 0, w = 10;
  for (int64_t step = 0; step < 3; ++step) {
    Begin(step, 0);
    for (int64_t slot : {0, 1, 2}) Push(step, slot, {1});
    v = 0.9 * v + 1;
    w -= 0.7 * (1 + 0.9 * v);
    EXPECT_NEAR(Parameters()[0], w, 1e-5);
  }
}

}  // namespace
}  // namespace weft::cluster
