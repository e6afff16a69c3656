#include "sim/tempo.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using std::chrono::seconds;

TEST(Tempo, SpeedAndLoadStretchTheWork) {
  Tempo tempo({.speed = 0.5, .load = 0.2}, 1, 0);
  EXPECT_EQ(tempo.Finish(TimePoint{} + seconds(3), 2.0), TimePoint{} + seconds(8));
  EXPECT_DOUBLE_EQ(tempo.SpeedAt(TimePoint{}), 0.4);
}

TEST(Tempo, EpisodesSlowItDownByTheirShareOfTheTime) {
  const DeviceOptions options{
      .slowdown = {.mean_wait = seconds(30), .mean_length = seconds(10), .factor = 0.2}};
  Tempo tempo(options, 3, 1);
  const double work = 20000;
  const double took = base::Seconds(tempo.Finish(TimePoint{}, work) - TimePoint{});
  // A quarter of the time at a fifth of the speed: 0.75 + 0.25 * 0.2 of full speed.
  EXPECT_NEAR(work / took, 0.8, 0.03);
}

TEST(Tempo, WorkInPiecesTakesAsLongAsWorkAtOnce) {
  const DeviceOptions options{
      .slowdown = {.mean_wait = seconds(2), .mean_length = seconds(1), .factor = 0.1}};
  Tempo whole(options, 5, 2), pieces(options, 5, 2);
  TimePoint at;
  for (int i = 0; i < 50; ++i) at = pieces.Finish(at, 1.0);
  EXPECT_NEAR(base::Seconds(whole.Finish(TimePoint{}, 50.0) - at), 0, 1e-6);
}

}  // namespace
}  // namespace weft::sim
