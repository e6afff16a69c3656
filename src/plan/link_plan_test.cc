#include "plan/link_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "plan/update_size.h"

namespace weft::plan {
namespace {

using codec::Target;
using codec::ValueKind;
using testing::HasSubstr;

constexpr int64_t kMillion = 1 << 20;  // values: 256 chunks, 4 MiB as fp32

LinkProfile Link(double bytes_per_second, double round_trip_seconds) {
  return {bytes_per_second, bytes_per_second, round_trip_seconds};
}

TEST(LinkPlan, AnExchangeTakesLatencyAndBytes) {
  const LinkProfile link = {
      .up_bytes_per_second = 100, .down_bytes_per_second = 400, .round_trip_seconds = 0.5};
  EXPECT_DOUBLE_EQ(ExchangeSeconds(link, {.up_bytes = 200, .down_bytes = 400}), 0.5 + 2 + 1);
  EXPECT_DOUBLE_EQ(ExchangeSeconds(link, {200, 400, true}), 0.5 + 2);
  EXPECT_DOUBLE_EQ(ExchangeSeconds({}, {200, 400}), 0);
}

struct Case {
  double bytes_per_second;
  double round_trip_seconds;
  double density;
  ValueKind values;
  int64_t local_steps;
};

// A step computes for 1 s, so an exchange may take 0.1 s a step. Bits a value are 32, 16, 8, 4, 2
// for all, then about 1.32, 0.81, 0.46, 0.26 and so on with halving densities, each twice (up and
// down); 1 MBit values a second are 131 kB/s for one bit a value.
TEST(LinkPlan, ChoosesTheFirstThatFits) {
  constexpr double kBit = kMillion / 8;  // bytes, one bit a value
  const LinkLoad load = {.compute_seconds = 1, .values = kMillion};
  const LinkLimits limits = {.budget = 0.1, .least_density = 0.001, .most_local_steps = 64};
  const Case cases[] = {
      {kBit * 10 * 64 * 1.01, 0, 1, ValueKind::kFloat32, 1},
      {kBit * 10 * 64 * 0.99, 0, 1, ValueKind::kFloat16, 1},
      {kBit * 10 * 17, 0, 1, ValueKind::kInt8, 1},
      {kBit * 10 * 8.5, 0, 1, ValueKind::kInt4, 1},
      {kBit * 10 * 4.2, 0, 1, ValueKind::kInt2, 1},
      {kBit * 10 * 3, 0, 0.25, ValueKind::kInt2, 1},
      {kBit * 10 * 1.1, 0, 1.0 / 16, ValueKind::kInt2, 1},
      {kBit * 10 * 0.6, 0, 1.0 / 32, ValueKind::kInt2, 1},
      // Even 0.1 % of the values, 0.017 bits, only after two or four steps.
      {kBit * 10 * 0.022, 0, 0.001, ValueKind::kInt2, 2},
      {kBit * 10 * 0.011, 0, 0.001, ValueKind::kInt2, 4},
      // A round trip that fills the budget: at two steps it has half of the 0.2 s, at four a
      // quarter of the 0.4 s.
      {kBit * 1e6, 0.099, 1, ValueKind::kFloat32, 1},
      {kBit * 1e6, 0.11, 1, ValueKind::kFloat32, 2},
      {kBit * 10 * 0.6, 0.1, 1.0 / 32, ValueKind::kInt2, 2},
      {kBit * 10 * 0.6, 0.11, 1.0 / 8, ValueKind::kInt2, 4},
  };
  for (const Case& c : cases) {
    const LinkChoice choice =
        ChooseLink(Link(c.bytes_per_second, c.round_trip_seconds), load, limits);
    EXPECT_EQ(choice.target, (Target{.density = c.density, .values = c.values}))
        << c.bytes_per_second << ": " << choice.words;
    EXPECT_EQ(choice.local_steps, c.local_steps) << c.bytes_per_second << ": " << choice.words;
    EXPECT_TRUE(choice.known && choice.fits) << choice.words;
    EXPECT_EQ(choice.compute_seconds, static_cast<double>(c.local_steps));
    EXPECT_LE(choice.exchange_seconds, 0.1 * choice.compute_seconds);
  }
}

TEST(LinkPlan, SaysWhatItChose) {
  const LinkLoad load = {.compute_seconds = 1, .values = kMillion};
  EXPECT_EQ(ChooseLink({}, load, {}).words, "all values as fp32: the link is not known yet");
  EXPECT_THAT(ChooseLink(Link(1e9, 0.01), load, {}).words,
              testing::StartsWith("all values as fp32: 1."));
  const LinkChoice none = ChooseLink(Link(1000, 0), load, {.most_local_steps = 4});
  EXPECT_FALSE(none.fits);
  EXPECT_THAT(none.words, HasSubstr("0.1 % of the values as int2, every 4 steps: "));
  EXPECT_THAT(none.words, HasSubstr("above the budget of 10 %"));
}

TEST(LinkPlan, WhatIsNotKnownIsDense) {
  const LinkLoad load = {.compute_seconds = 1, .values = kMillion};
  EXPECT_FALSE(ChooseLink({}, load, {}).known);
  EXPECT_EQ(ChooseLink({}, load, {}).target, Target());
  EXPECT_FALSE(ChooseLink(Link(1000, 0), {.values = kMillion}, {}).known);
  // One way stands for the other.
  const LinkChoice up = ChooseLink({.up_bytes_per_second = 1e6}, load, {});
  EXPECT_TRUE(up.known);
  EXPECT_EQ(up, ChooseLink(Link(1e6, 0), load, {}));
  EXPECT_EQ(up, ChooseLink({.down_bytes_per_second = 1e6}, load, {}));
}

TEST(LinkPlan, FastNetworksAndTinyModelsStayDense) {
  const LinkProfile gigabit = Link(118e6, 0.3e-3);
  const LinkProfile loopback = Link(2e9, 0.1e-3);
  // resnet20, 50 ms a step; lenet5, 5 ms a step, and a step of 1 ms that is all round trip.
  EXPECT_EQ(ChooseLink(gigabit, {.compute_seconds = 0.5, .values = 272'474}, {}).target, Target());
  EXPECT_EQ(ChooseLink(loopback, {.compute_seconds = 0.05, .values = 272'474}, {}).target,
            Target());
  EXPECT_EQ(ChooseLink(loopback, {.compute_seconds = 0.005, .values = 61'706}, {}).target,
            Target());
  EXPECT_EQ(ChooseLink(loopback, {.compute_seconds = 0.001, .values = 1000}, {}).target, Target());
  const LinkChoice tiny = ChooseLink(gigabit, {.compute_seconds = 0.001, .values = 1000}, {});
  EXPECT_EQ(tiny.target, Target());
  EXPECT_FALSE(tiny.fits);
  // Encoding would take longer than the way.
  const LinkChoice fast =
      ChooseLink(Link(5e9, 0), {.compute_seconds = 0.01, .values = 1 << 24}, {});
  EXPECT_GE(fast.target.density, 1);
  EXPECT_NE(fast.target.values, ValueKind::kInt2);
}

TEST(LinkPlan, ParametersOfAFixedSizeCount) {
  const LinkLoad load = {.compute_seconds = 1, .values = kMillion, .down_bytes = 4.0 * kMillion};
  const LinkChoice choice = ChooseLink(Link(50e6, 0), load, {});  // 84 ms of 100 ms
  EXPECT_EQ(choice.target, (Target{.density = 1, .values = ValueKind::kInt4}));
  EXPECT_NEAR(choice.exchange_seconds, (4 + 0.5) * kMillion / 50e6, 1e-4);
}

// As the order in link_plan.h has it: more is more compressed.
double Compression(const LinkChoice& choice) {
  const double a_value = static_cast<double>(codec::QuantisedBytes(choice.target.values, 4000));
  return 1e6 * static_cast<double>(choice.local_steps) - choice.target.density * a_value;
}

struct Draw {
  LinkProfile link;
  LinkLoad load;
  LinkLimits limits;
};
Draw Drawn(uint64_t i) {
  base::Rng rng(i);
  const auto decades = [&rng](double low, double high) {
    return std::pow(10, rng.NextUniform(low, high));
  };
  Draw draw;
  draw.link = {.up_bytes_per_second = decades(4, 9),
               .down_bytes_per_second = decades(4, 9),
               .round_trip_seconds = decades(-4, 0)};
  draw.load.compute_seconds = decades(-2.5, 1);
  draw.load.values = static_cast<int64_t>(decades(3, 7.3));
  draw.load.overlapped = rng.NextBelow(2) == 0;
  draw.limits.budget = rng.NextUniform(0.02, 0.5);
  draw.limits.least_density = decades(-3, -1);
  draw.limits.most_local_steps = 1 + static_cast<int64_t>(rng.NextBelow(200));
  return draw;
}

TEST(LinkPlan, FitsWheneverTheCheapestDoes) {
  int fitting = 0;
  for (uint64_t i = 0; i < 3000; ++i) {
    const Draw draw = Drawn(i);
    const Target least = {.density = draw.limits.least_density, .values = ValueKind::kInt2};
    const double bytes = UpdateBytes(least, draw.load.values);
    const double cheapest = ExchangeSeconds(
        draw.link, {.up_bytes = bytes, .down_bytes = bytes, .overlapped = draw.load.overlapped});
    const double budget = draw.limits.budget * draw.load.compute_seconds *
                          static_cast<double>(draw.limits.most_local_steps);
    const LinkChoice choice = ChooseLink(draw.link, draw.load, draw.limits);
    EXPECT_LE(choice.local_steps, draw.limits.most_local_steps);
    EXPECT_GE(choice.target.density, draw.limits.least_density);
    if (choice.fits) ++fitting;
    if (cheapest > budget) {
      EXPECT_FALSE(choice.fits) << i << ": " << choice.words;
    } else if (!choice.fits) {  // then what fits would take longer to encode than it saves
      EXPECT_EQ(choice.target.density, 1);
      EXPECT_LT(choice.exchange_seconds, draw.limits.budget * choice.compute_seconds +
                                             4e-9 * static_cast<double>(draw.load.values))
          << i << ": " << choice.words;
    }
  }
  EXPECT_GT(fitting, 1000);
  EXPECT_LT(fitting, 2900);
}

TEST(LinkPlan, ASlowerLinkNeverGetsLessCompression) {
  int more = 0;
  for (uint64_t i = 0; i < 3000; ++i) {
    const Draw draw = Drawn(i);
    const LinkChoice choice = ChooseLink(draw.link, draw.load, draw.limits);
    for (int what = 0; what < 3; ++what) {
      LinkProfile slower = draw.link;
      if (what == 0) slower.up_bytes_per_second /= 1.7;
      if (what == 1) slower.down_bytes_per_second /= 1.7;
      if (what == 2) slower.round_trip_seconds *= 1.7;
      const LinkChoice then = ChooseLink(slower, draw.load, draw.limits);
      if (!then.fits) continue;
      EXPECT_GE(Compression(then), Compression(choice)) << i << ": " << then.words;
      if (Compression(then) > Compression(choice)) ++more;
    }
  }
  EXPECT_GT(more, 500);
}

TEST(LinkPlan, AChoiceHoldsWhileItIsBearable) {
  const LinkLoad load = {.compute_seconds = 1, .values = kMillion};
  const LinkLimits limits = {.most_local_steps = 4};
  const double dense = 8.0 * kMillion / 0.1;  // bytes a second at which fp32 just fits
  const LinkChoice first = ChooseLink(Link(dense * 1.01, 0), load, limits);
  ASSERT_EQ(first.target.values, ValueKind::kFloat32);
  const LinkChoice held = ChooseLinkAgain(first, Link(dense / 1.2, 0), load, limits);
  EXPECT_EQ(held.target.values, ValueKind::kFloat32);
  EXPECT_FALSE(held.fits);
  EXPECT_NEAR(held.exchange_seconds, 0.12, 1e-3);
  const LinkChoice half = ChooseLinkAgain(held, Link(dense / 1.3, 0), load, limits);
  EXPECT_EQ(half.target.values, ValueKind::kFloat16);
  // The way back is further.
  const LinkChoice still = ChooseLinkAgain(half, Link(dense * 1.9, 0), load, limits);
  EXPECT_EQ(still.target.values, ValueKind::kFloat16);
  EXPECT_EQ(ChooseLinkAgain(still, Link(dense * 2.1, 0), load, limits).target, Target());
  // What is not known decides nothing.
  EXPECT_EQ(ChooseLinkAgain(half, {}, load, limits), half);
  EXPECT_FALSE(ChooseLinkAgain({}, {}, load, limits).known);
  EXPECT_EQ(ChooseLinkAgain(ChooseLink({}, load, limits), Link(dense / 1.3, 0), load, limits),
            ChooseLink(Link(dense / 1.3, 0), load, limits));
  // A target of other limits is none.
  LinkChoice other = half;
  other.target.density = 0.3;
  EXPECT_EQ(ChooseLinkAgain(other, Link(dense / 1.3, 0), load, limits).target, half.target);
}

TEST(LinkPlan, NoiseDoesNotMakeAChoiceFlap) {
  for (uint64_t i = 0; i < 300; ++i) {
    const Draw draw = Drawn(i);
    base::Rng rng(~i);
    LinkChoice choice = ChooseLink(draw.link, draw.load, draw.limits);
    if (!choice.fits) continue;
    int changes = 0;
    for (int step = 0; step < 100; ++step) {
      LinkProfile noisy = draw.link;
      noisy.up_bytes_per_second *= rng.NextUniform(0.8, 1.25);
      noisy.down_bytes_per_second *= rng.NextUniform(0.8, 1.25);
      noisy.round_trip_seconds *= rng.NextUniform(0.8, 1.25);
      const LinkChoice next = ChooseLinkAgain(choice, noisy, draw.load, draw.limits);
      if (next.target != choice.target || next.local_steps != choice.local_steps) ++changes;
      choice = next;
    }
    EXPECT_LE(changes, 1) << i << ": " << choice.words;
  }
}

}  // namespace
}  // namespace weft::plan
