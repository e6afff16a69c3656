// Leaders chosen by weft (leaders = 0) beside one leader and beside as many as there are devices:
// clusters in cost mode, of which some gain by a split and some lose.

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "sim/cluster.h"
#include "sim/toy.h"

namespace weft::sim {
namespace {

constexpr int64_t kModel = 720'967;  // values of the model
constexpr int64_t kCells = 4096;     // that stand for them
constexpr double kMbit = 1e6;

struct Case {
  const char* name;
  int devices = 0;
  double hub_bps = 0;     // either way
  double device_bps = 0;  // either way
  double push_s = 0;      // of the coordinator's processor, an update; likewise to send parameters
  double compute_s = 1;   // of a whole batch by all devices together, in a step
  // Whether leaders on devices are worth it: steps by themselves take so much less.
  bool splits = false;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

ClusterOptions OptionsOf(const Case& c, int64_t leaders) {
  const int64_t batch = 32 * c.devices;
  ClusterOptions options;
  options.job = ToyJob(10 * batch, 6, batch);
  options.job.trainable_count = kCells;
  options.job.statistics.clear();
  options.job.start_workers = c.devices;
  options.job.leaders = leaders;
  options.job.least_range = 1;
  options.job.value_weight = static_cast<double>(kModel) / kCells;
  options.workload = MakeCostWorkload(kCells);
  options.devices = EqualDevices(c.devices, c.compute_s / 32);
  for (DeviceOptions& device : options.devices) {
    device.link.up_bps = device.link.down_bps = c.device_bps;
    device.leading = {.push_seconds = c.push_s, .send_seconds = c.push_s};
  }
  options.hub.link.up_bps = options.hub.link.down_bps = c.hub_bps;
  options.hub.push_seconds = options.hub.send_seconds = c.push_s;
  options.wire = {.push_bytes = 4 * kModel,
                  .parameters_bytes = 4 * kModel,
                  .replica_bytes = 4 * kModel,
                  .state_bytes = 4 * kModel,
                  .unfairness = 0};
  return options;
}

struct Outcome {
  double seconds = 0;
  std::vector<cluster::LeadersChanged> changes;
  std::vector<cluster::SaturationChanged> saturation;
  int64_t steps_before = 0;  // the first change
};

class Look : public Observer {
 public:
  explicit Look(Outcome* outcome) : outcome_(outcome) {}
  void OnEvent(TimePoint, const cluster::Event& event) override {
    if (std::holds_alternative<cluster::StepDone>(event) && outcome_->changes.empty()) {
      ++outcome_->steps_before;
    }
    if (const auto* changed = std::get_if<cluster::LeadersChanged>(&event)) {
      outcome_->changes.push_back(*changed);
    }
    if (const auto* changed = std::get_if<cluster::SaturationChanged>(&event)) {
      outcome_->saturation.push_back(*changed);
    }
  }

 private:
  Outcome* outcome_;
};

Outcome Simulate(const Case& c, int64_t leaders) {
  const ClusterOptions options = OptionsOf(c, leaders);
  Outcome outcome;
  Look look(&outcome);
  Cluster run(options);
  run.Watch(&look);
  EXPECT_TRUE(run.Run(std::chrono::hours(5)));
  EXPECT_EQ(run.done()->how, cluster::RunDone::How::kCompleted);
  EXPECT_EQ(run.done()->lost_samples + run.done()->duplicated_samples, 0);
  outcome.seconds = run.result().training_s;
  return outcome;
}

class Split : public ::testing::TestWithParam<Case> {};

TEST_P(Split, IsAsGoodAsTheBetterOfBoth) {
  const Case c = GetParam();
  const double flat_s = Simulate(c, 1).seconds;
  const double fixed_s = Simulate(c, c.devices).seconds;
  const Outcome chosen = Simulate(c, 0);
  RecordProperty("flat_s", std::to_string(flat_s));
  RecordProperty("fixed_s", std::to_string(fixed_s));
  RecordProperty("chosen_s", std::to_string(chosen.seconds));
  RecordProperty("steps_before", std::to_string(chosen.steps_before));
  for (const cluster::LeadersChanged& change : chosen.changes) {
    RecordProperty("change", cluster::Describe(change));
  }
  EXPECT_EQ(fixed_s < 0.85 * flat_s, c.splits) << "the case itself: " << flat_s << ", " << fixed_s;
  // The first of sixty steps has one leader, and some more may have, or a trial may fail.
  const double first_s = flat_s / 60;
  EXPECT_LT(chosen.seconds, 1.1 * std::min(flat_s, fixed_s) + first_s) << flat_s << ", " << fixed_s;
  if (c.splits) {
    ASSERT_EQ(chosen.changes.size(), 1u);
    EXPECT_GT(chosen.changes[0].parts.size(), 1u);
    EXPECT_LE(chosen.steps_before, 5);
  } else {
    EXPECT_LE(chosen.changes.size(), 2u);  // there and back
  }
}

constexpr Case kSlowLinks = {"SlowLinks", 16, 100 * kMbit, 100 * kMbit, 0, 1, true};
constexpr Case kFewOnFastLinks = {"FewOnFastLinks", 2, 1000 * kMbit, 1000 * kMbit, 0.002, 1, false};

INSTANTIATE_TEST_SUITE_P(
    Clusters, Split,
    ::testing::Values(kSlowLinks, kFewOnFastLinks,
                      Case{"SlowProcessor", 16, 1e4 * kMbit, 1e4 * kMbit, 0.025, 1, true},
                      Case{"FewOnSlowLinks", 4, 100 * kMbit, 100 * kMbit, 0.002, 1, true},
                      Case{"ManyOnFastLinks", 16, 1e4 * kMbit, 1e4 * kMbit, 0.001, 1, false},
                      Case{"LongComputing", 16, 100 * kMbit, 100 * kMbit, 0.002, 100, false},
                      Case{"FastCoordinator", 4, 1000 * kMbit, 50 * kMbit, 0, 1, false}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(Saturation, IsToldOnceWhereOneLeaderIsFull) {
  const Outcome flat = Simulate(kSlowLinks, 1);
  ASSERT_EQ(flat.saturation.size(), 1u);
  const cluster::SaturationChanged& event = flat.saturation[0];
  EXPECT_TRUE(event.saturated);
  EXPECT_EQ(event.devices, 16);
  EXPECT_EQ(event.as_many_as, 0);  // there were never fewer
  // 16 updates of 2.9 MB in and as many parameters out at 12.5 MB/s: 7.4 s, and 1 s of computing.
  EXPECT_NEAR(event.updates_per_s, 16 / 8.4, 0.3);
  EXPECT_NEAR(event.most_per_s, 16 / 7.4, 0.3);
  EXPECT_LT(event.updates_per_s, event.most_per_s);
}

TEST(Saturation, IsNotToldWhereDevicesHelp) {
  EXPECT_TRUE(Simulate(kFewOnFastLinks, 1).saturation.empty());
  EXPECT_TRUE(Simulate(kSlowLinks, kSlowLinks.devices).saturation.empty());
}

}  // namespace
}  // namespace weft::sim
