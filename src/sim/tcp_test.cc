#include "sim/tcp.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/wire_size.h"

namespace weft::sim {
namespace {

using base::Seconds;

constexpr Duration kTrip = std::chrono::milliseconds(100);
constexpr double kFirst = 10.0 * kSegmentBytes;

TEST(Pace, WithoutRoundTripThereIsNoLimit) {
  Pace pace({});
  pace.Sent({5}, 1 << 30);
  EXPECT_LE(pace.next(), TimePoint{5});
}

TEST(Pace, TheWindowDoublesInARoundTrip) {
  Pace pace({.round_trip = kTrip});
  // In one round trip a window that doubles evenly sends 1 / ln 2 of what it began with.
  const auto first = static_cast<int64_t>(kFirst / std::log(2));
  TimePoint now;
  for (int trip = 0; trip < 5; ++trip) {
    pace.Sent(now, first << trip);
    EXPECT_NEAR(Seconds(pace.next() - now), 0.1, 0.0001) << trip;
    now = pace.next();
  }
}

TEST(Pace, PiecesDoNotMatter) {
  Pace whole({.round_trip = kTrip});
  whole.Sent({}, 10'000'000);
  Pace parts({.round_trip = kTrip});
  for (int i = 0; i < 100; ++i) parts.Sent(parts.next(), 100'000);
  EXPECT_NEAR(Seconds(parts.next() - TimePoint{}), Seconds(whole.next() - TimePoint{}), 0.0001);
}

TEST(Pace, IsAWindowARoundTripInTheEnd) {
  Pace pace({.round_trip = kTrip});
  pace.Sent({}, 100 << 20);
  const TimePoint warm = pace.next();
  pace.Sent(warm, 40 << 20);
  EXPECT_NEAR(Seconds(pace.next() - warm), 1.0, 0.001);
}

TEST(Pace, LossLimitsAsMathisSays) {
  for (double loss : {0.0001, 0.001, 0.01}) {
    Pace pace({.round_trip = kTrip, .loss = loss});
    pace.Sent({}, 10 << 20);
    const TimePoint warm = pace.next();
    pace.Sent(warm, 1 << 20);
    const double bytes_per_second = (1 << 20) / Seconds(pace.next() - warm);
    EXPECT_NEAR(bytes_per_second * 0.1 * std::sqrt(loss) / kSegmentBytes, 1.22, 0.01) << loss;
  }
}

TEST(Pace, ForgetsItsWindowInAPause) {
  Pace pace({.round_trip = kTrip});
  pace.Sent({}, 100 << 20);
  const auto take = [&pace](Duration pause) {
    const TimePoint now = pace.next() + pause;
    pace.Sent(now, 1 << 20);
    return pace.next() - now;
  };
  const Duration warm = take({});
  EXPECT_EQ(take(std::chrono::milliseconds(200)), warm) << "less than a retry time";
  const Duration halved = take(std::chrono::milliseconds(400));
  EXPECT_GT(halved, warm * 3 / 2);
  const Duration cold = take(std::chrono::seconds(60));
  EXPECT_NEAR(Seconds(cold), 0.1 * std::log2(1 + (1 << 20) * std::log(2) / kFirst), 0.001);
}

}  // namespace
}  // namespace weft::sim
