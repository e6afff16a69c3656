// Parameters that go down as differences, in whole clusters.

#include <gtest/gtest.h>

#include <map>

#include "sim/cluster.h"
#include "sim/observer.h"

namespace weft::sim {
namespace {

using cluster::Range;

// Counts what is sent, and holds whoever computes in a step to the same bits.
class Watcher : public Observer {
 public:
  void OnSent(TimePoint, const cluster::Envelope& envelope) override {
    const auto* sent = std::get_if<cluster::Parameters>(&envelope.message);
    if (sent == nullptr) return;
    ++(sent->base >= 0 ? deltas : wholes);
  }
  void OnComputed(TimePoint, int, const cluster::Compute& compute, std::span<const float>,
                  const std::vector<cluster::Worker::Part>&,
                  const cluster::UpdateEncoder&) override {
    for (const cluster::Piece& piece : compute.pieces) {
      const auto [it, is_new] = bits_.try_emplace({piece.range, piece.version}, piece.values);
      if (!is_new && *it->second != *piece.values) ++differ;
    }
  }

  int64_t deltas = 0;
  int64_t wholes = 0;
  int64_t differ = 0;

 private:
  std::map<std::pair<Range, int64_t>, cluster::Payload> bits_;
};

// A delta of the toy's few values is to count for less than all of them.
ClusterOptions Options(const std::string& down) {
  ClusterOptions options;
  options.job = ToyJob(300, 4, 32);
  options.job.codec_down.name = down;
  options.job.value_weight = 16;
  options.devices = EqualDevices(4, 200e-6);
  return options;
}

TEST(Differences, AreWhatIsSentAndLeadToTheSameEnd) {
  for (const char* down : {"int8", "chunk-topk"}) {
    const ClusterOptions options = Options(down);
    Watcher watcher;
    Cluster run(options);
    run.Watch(&watcher);
    ASSERT_TRUE(run.Run());
    EXPECT_EQ(watcher.wholes, 4) << "one for each device";
    EXPECT_GE(watcher.deltas, 4 * 39);
    EXPECT_EQ(watcher.differ, 0);
    const std::vector<float> plain = RunToy(options.job).parameters;
    for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(run.parameters()[i], plain[i], 2e-2);
  }
}

TEST(Differences, OfEachLeaderComeByThemselves) {
  ClusterOptions options = Options("int8");
  options.job.leaders = 2;
  options.job.least_range = 1;
  Watcher watcher;
  Cluster run(options);
  run.Watch(&watcher);
  ASSERT_TRUE(run.Run());
  EXPECT_GT(watcher.deltas, 4 * watcher.wholes);
  EXPECT_EQ(watcher.differ, 0);
}

TEST(Differences, SurviveLossRepeatsAndDeaths) {
  int64_t deltas = 0;
  for (const uint64_t seed : {1, 2, 3, 4, 5, 6}) {
    ClusterOptions options = Options("int8");
    options.seed = seed;
    options.job.leaders = seed % 2 == 0 ? 2 : 1;
    options.job.least_range = 1;
    options.faults.kill_device = std::chrono::milliseconds(150);
    options.faults.break_connection = std::chrono::milliseconds(100);
    options.faults.repeat_message = 0.2;
    options.faults.reorder_message = 0.2;
    options.faults.until = std::chrono::seconds(2);
    Watcher watcher;
    Cluster run(options);
    run.Watch(&watcher);
    ASSERT_TRUE(run.Run()) << "seed " << seed;
    EXPECT_EQ(run.done()->how, cluster::RunDone::How::kCompleted);
    EXPECT_EQ(run.done()->lost_samples, 0);
    deltas += watcher.deltas;
    const std::vector<float> plain = RunToy(options.job).parameters;
    for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(run.parameters()[i], plain[i], 5e-2);
  }
  EXPECT_GT(deltas, 100);
}

TEST(Differences, InAStream) {
  ClusterOptions options = Options("chunk-topk");
  options.job.aggregation.mode = aggregate::Mode::kAsync;
  Watcher watcher;
  Cluster run(options);
  run.Watch(&watcher);
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, cluster::RunDone::How::kCompleted);
  EXPECT_GT(watcher.deltas, 10 * watcher.wholes);
  EXPECT_EQ(watcher.differ, 0);
}

}  // namespace
}  // namespace weft::sim
