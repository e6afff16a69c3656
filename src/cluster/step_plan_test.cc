#include "cluster/step_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

JobSpec Spec() {
  JobSpec spec;
  spec.samples = 100;
  spec.epochs = 3;
  spec.batch = 32;
  spec.trainable_count = 5;
  return spec;
}

std::vector<int64_t> Counts(const std::vector<Lease>& leases) {
  std::vector<int64_t> counts;
  for (const Lease& lease : leases) counts.push_back(lease.count);
  return counts;
}

TEST(StepPlan, TheLastStepOfAnEpochTakesWhatIsLeft) {
  const StepPlan plan(Spec());
  EXPECT_EQ(plan.steps_per_epoch(), 4);
  EXPECT_EQ(plan.total_steps(), 12);
  EXPECT_EQ(plan.SamplesOf(2), 32);
  EXPECT_EQ(plan.SamplesOf(3), 4);
  EXPECT_EQ(plan.BeginOf(7), 96);
  EXPECT_EQ(plan.EpochOf(7), 1);
  EXPECT_TRUE(plan.EndsEpoch(7));
  EXPECT_FALSE(plan.EndsEpoch(8));
}

TEST(StepPlan, LeasesTileTheEpochWhateverTheWorkers) {
  const StepPlan plan(Spec());
  int64_t at = 0;
  for (int64_t step = 4; step < 8; ++step) {
    for (const Lease& lease : plan.Leases(step, 3 * step)) {
      EXPECT_EQ(lease.begin, at);
      EXPECT_EQ(lease.epoch, 1);
      EXPECT_GT(lease.count, 0);
      EXPECT_EQ(lease.id, static_cast<uint64_t>(step) * (1u << 20) + lease.slot + 1);
      at += lease.count;
    }
  }
  EXPECT_EQ(at, 100);
}

TEST(StepPlan, OneLeaseAWorkerUnlessDeterministic) {
  JobSpec spec = Spec();
  spec.slots = 4;
  EXPECT_THAT(Counts(StepPlan(spec).Leases(0, 3)), ElementsAre(11, 11, 10));
  spec.deterministic = true;
  EXPECT_THAT(Counts(StepPlan(spec).Leases(0, 3)), ElementsAre(8, 8, 8, 8));
  EXPECT_THAT(Counts(StepPlan(spec).Leases(3, 3)), ElementsAre(1, 1, 1, 1));
}

TEST(StepPlan, ExplicitSharesAreScaledForAShortBatch) {
  JobSpec spec = Spec();
  spec.shares = {2, 20, 10};
  EXPECT_THAT(Counts(StepPlan(spec).Leases(0, 9)), ElementsAre(2, 20, 10));
  const std::vector<Lease> last = StepPlan(spec).Leases(3, 9);
  EXPECT_THAT(Counts(last), ElementsAre(3, 1));  // the share that came to nothing is left out
  EXPECT_EQ(last[1].slot, 1);
}

TEST(JobSpec, SaysWhatIsWrong) {
  const auto problem = [](auto change) {
    JobSpec spec = Spec();
    change(spec);
    return Validate(spec).message();
  };
  EXPECT_EQ(problem([](JobSpec&) {}), "");
  EXPECT_THAT(problem([](JobSpec& s) { s.batch = 0; }), HasSubstr("batch: got 0, want 1 or more"));
  EXPECT_THAT(problem([](JobSpec& s) { s.samples = 0; }), HasSubstr("samples"));
  EXPECT_THAT(problem([](JobSpec& s) { s.epochs = -1; }), HasSubstr("epochs"));
  EXPECT_THAT(problem([](JobSpec& s) { s.slots = kMaxSlots + 1; }), HasSubstr("slots: got"));
  EXPECT_THAT(problem([](JobSpec& s) {
                s.shares = {31, 2};
              }),
              HasSubstr("shares: got a sum of 33, want the batch, 32"));
  EXPECT_THAT(problem([](JobSpec& s) { s.shares = {33, -1}; }), HasSubstr("shares: got -1"));
  EXPECT_THAT(problem([](JobSpec& s) { s.device_timeout_ms = 600; }),
              HasSubstr("device_timeout_ms: got 600, want 1000 or more"));
  EXPECT_THAT(problem([](JobSpec& s) { s.codec_up.name = "fp61"; }), HasSubstr("codec"));
  EXPECT_THAT(problem([](JobSpec& s) {
                s.statistics = {{6, 2, 0.1}};
              }),
              HasSubstr("want them to go on from 5"));
}

}  // namespace
}  // namespace weft::cluster
