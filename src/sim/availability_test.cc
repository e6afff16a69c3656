#include "sim/availability.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Kind = AvailabilityOptions::Kind;

constexpr Duration kDay = hours(24);

TEST(Availability, AlwaysIsOneStretchWithoutEnd) {
  Availability always({}, 1, 0);
  EXPECT_EQ(always.Next(), Stretch(Duration(0), kForEver));
  EXPECT_FALSE(always.Next());
  EXPECT_EQ(UpStretches({}, 1, 0, minutes(5)), std::vector{Stretch(Duration(0), minutes(5))});
}

TEST(Availability, ATraceIsTakenAsItIs) {
  AvailabilityOptions options{.kind = Kind::kTrace,
                              .up = {{seconds(1), seconds(2)}, {seconds(5), seconds(9)}}};
  EXPECT_EQ(UpStretches(options, 7, 3, seconds(8)),
            (std::vector{Stretch(seconds(1), seconds(2)), Stretch(seconds(5), seconds(8))}));
}

double ShareOn(const AvailabilityOptions& options, Duration from, Duration until) {
  double on = 0;
  for (int device = 0; device < 300; ++device) {
    for (const auto& [up, down] : UpStretches(options, 11, device, kDay)) {
      on += std::max(0.0, base::Seconds(std::min(down, until) - std::max(up, from)));
    }
  }
  return on / 300 / base::Seconds(until - from);
}

TEST(Availability, ExponentialTimesHaveTheirMeans) {
  const AvailabilityOptions options{
      .kind = Kind::kExponential, .mean_up = minutes(30), .mean_down = minutes(10)};
  EXPECT_NEAR(ShareOn(options, Duration(0), kDay), 0.75, 0.02);
  EXPECT_EQ(UpStretches(options, 1, 0, kDay).front().first, Duration(0)) << "starts switched on";
}

TEST(Availability, DiurnalFollowsTheHour) {
  const AvailabilityOptions options{.kind = Kind::kDiurnal,
                                    .mean_up = minutes(10),
                                    .least_share = 0.2,
                                    .most_share = 0.9,
                                    .peak = hours(2)};
  EXPECT_NEAR(ShareOn(options, hours(1), hours(3)), 0.9, 0.03);
  EXPECT_NEAR(ShareOn(options, hours(13), hours(15)), 0.2, 0.03);
  EXPECT_NEAR(ShareOn(options, hours(7), hours(9)), 0.55, 0.04);
  EXPECT_NEAR(ShareOn(options, Duration(0), minutes(20)), 0.85, 0.06) << "starts at its share";
}

TEST(Availability, IsAFunctionOfSeedAndDevice) {
  const AvailabilityOptions options{
      .kind = Kind::kExponential, .mean_up = minutes(3), .mean_down = minutes(1)};
  EXPECT_EQ(UpStretches(options, 4, 2, kDay), UpStretches(options, 4, 2, kDay));
  EXPECT_NE(UpStretches(options, 4, 2, kDay), UpStretches(options, 5, 2, kDay));
  EXPECT_NE(UpStretches(options, 4, 2, kDay), UpStretches(options, 4, 3, kDay));
}

}  // namespace
}  // namespace weft::sim
