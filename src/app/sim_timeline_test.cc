#include "app/sim_timeline.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "app/report_timeline.h"

namespace weft::app {
namespace {

using sim::Activity;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TimePoint At(double seconds) { return {static_cast<int64_t>(seconds * 1e9)}; }

double Total(const Timeline::Row& row, float Timeline::Bin::*what) {
  return std::accumulate(row.bins.begin(), row.bins.end(), 0.0,
                         [&](double sum, const Timeline::Bin& bin) { return sum + bin.*what; });
}

cluster::Envelope Push(cluster::DeviceId device) {
  return {.from = {device, cluster::Role::kWorker},
          .to = {cluster::kCoordinatorDevice, cluster::Role::kLeader},
          .message = cluster::Push{}};
}

cluster::Envelope Parameters(cluster::DeviceId device) {
  return {.from = {cluster::kCoordinatorDevice, cluster::Role::kLeader},
          .to = {device, cluster::Role::kWorker},
          .message = cluster::Parameters{}};
}

TEST(Timeline, TimesAreKeptHoweverLongTheRun) {
  Timeline timeline({"a", "b"});
  timeline.OnDeviceUp(At(1), 0, 1);
  timeline.OnActivity(At(2), 0, Activity::kCompute);
  timeline.OnActivity(At(5), 0, Activity::kIdle);
  timeline.OnActivity(At(80000), 0, Activity::kCompute);
  timeline.OnDeviceDown(At(86000), 0);
  timeline.Finish(At(86400));
  const Timeline::Row& a = timeline.rows()[0];
  EXPECT_NEAR(Total(a, &Timeline::Bin::compute), 6003, 0.5);
  EXPECT_NEAR(a.compute_s, 6003, 1e-6);
  EXPECT_NEAR(Total(a, &Timeline::Bin::off), 401, 0.5);
  EXPECT_EQ(a.starts, 1);
  EXPECT_EQ(a.ends, 1);
  EXPECT_LE(a.bins.size(), Timeline::kMostBins);
  EXPECT_GT(timeline.bins_used(), Timeline::kMostBins / 2);
  EXPECT_NEAR(timeline.rows()[1].off_s, 86400, 1e-6) << "never heard of";
}

TEST(Timeline, PayloadsUnderWay) {
  Timeline timeline({"a"});
  timeline.OnDeviceUp(At(0), 0, 1);
  timeline.OnJoined(At(0), 0, 7);
  timeline.OnSent(At(1), Push(7));
  timeline.OnSent(At(2), Push(7));
  timeline.OnDelivered(At(3), Push(7));
  timeline.OnDelivered(At(4), Push(7));
  timeline.OnDelivered(At(5), Push(7));  // twice
  timeline.OnSent(At(10), Parameters(7));
  timeline.OnDial(At(12), 0);  // lost with the connection
  timeline.OnDelivered(At(14), Parameters(7));
  timeline.OnSent(At(15), Push(99));  // of nobody
  timeline.Finish(At(20));
  EXPECT_NEAR(Total(timeline.rows()[0], &Timeline::Bin::sending), 3, 1e-3);
  EXPECT_NEAR(Total(timeline.rows()[0], &Timeline::Bin::receiving), 2, 1e-3);
}

TEST(Timeline, TheRunsOwnRow) {
  Timeline timeline({"a"});
  timeline.OnEvent(At(1), cluster::StepDone{.samples = 30});
  timeline.OnHubKilled(At(4));
  timeline.OnHubStarted(At(6), 2, 1);
  timeline.OnEvent(At(7), cluster::StepDone{.samples = 12});
  timeline.OnEvent(At(7), cluster::EpochDone{});
  timeline.OnEvent(At(8), cluster::RunDone{});
  timeline.OnDeviceDown(At(9), 0);  // they all stop then
  timeline.Finish(At(9));
  double samples = 0, off = 0;
  int64_t epochs = 0;
  for (const Timeline::RunBin& bin : timeline.run()) {
    samples += bin.samples;
    off += bin.hub_off;
    epochs += bin.epochs;
  }
  EXPECT_EQ(samples, 42);
  EXPECT_NEAR(off, 2, 1e-3);
  EXPECT_EQ(epochs, 1);
  EXPECT_NEAR(timeline.end_s(), 8, 1e-9);
  EXPECT_EQ(timeline.rows()[0].ends, 0);
}

TEST(Timeline, MemoryIsBounded) {
  Timeline timeline(std::vector<std::string>(10000, "x"));
  for (int device = 0; device < 100000; ++device) timeline.OnDeviceUp(At(1), device, 1);
  timeline.Finish(At(1e6));
  size_t cells = 0;
  for (const Timeline::Row& row : timeline.rows()) cells += row.bins.size();
  EXPECT_LE(cells, Timeline::kMostCells);
  EXPECT_GE(timeline.rows().size(), 10000U);
  EXPECT_EQ(timeline.devices(), 100000);
}

TEST(TimelinePicture, FewDevicesAreAllShown) {
  Timeline timeline({"a<b", "c"});
  timeline.OnDeviceUp(At(0), 0, 1);
  timeline.OnActivity(At(1), 0, Activity::kCompute);
  timeline.Finish(At(600));
  const std::string html = TimelinePicture(timeline);
  EXPECT_THAT(html, HasSubstr(">a&lt;b</text>"));
  EXPECT_THAT(html, HasSubstr("class=\"compute\" fill-opacity=\"1.00\""));
  EXPECT_THAT(html, HasSubstr(">minutes</text>"));
  EXPECT_THAT(html, Not(HasSubstr(" of 2 devices")));
}

TEST(TimelinePicture, OfManyTheTellingOnes) {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back(fmt::format("d{}", i));
  Timeline timeline(names);
  for (int i = 0; i < 1000; ++i) {
    timeline.OnDeviceUp(At(0), i, 1);
    timeline.OnActivity(At(1), i, Activity::kCompute);
    timeline.OnActivity(At(i == 700 ? 9 : i == 650 ? 1 : 5), i, Activity::kIdle);
  }
  timeline.OnDeviceDown(At(9), 333);
  timeline.Finish(At(10));
  const std::vector<size_t> rows = TellingRows(timeline, 40);
  EXPECT_EQ(rows.size(), 40U);
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
  for (const size_t row : {333U, 650U, 700U}) EXPECT_THAT(rows, Contains(row));
  EXPECT_THAT(TimelinePicture(timeline), HasSubstr("40 of 1000 devices"));
}

// A picture is for a browser: a bad run must not make it huge.
TEST(TimelinePicture, SizeIsBounded) {
  std::vector<std::string> names(100, "x");
  Timeline timeline(names);
  for (int step = 0; step < 2000; ++step) {
    for (int i = 0; i < 100; ++i) {
      timeline.OnActivity(At(step + 0.001 * i), i,
                          step % 2 == 0 ? Activity::kCompute : Activity::kIdle);
      if (step % 5 == 0) timeline.OnDeviceDown(At(step + 0.5), i);
      if (step % 5 == 0) timeline.OnDeviceUp(At(step + 0.6), i, 1);
    }
  }
  timeline.Finish(At(2000));
  EXPECT_LT(TimelinePicture(timeline).size(), size_t{4} << 20);
}

}  // namespace
}  // namespace weft::app
