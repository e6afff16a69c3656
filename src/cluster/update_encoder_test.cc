#include "cluster/update_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace weft::cluster {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;

constexpr int64_t kSize = 50;
constexpr int64_t kTrainable = 40;

std::unique_ptr<codec::Codec> Fp16() { return codec::MakeCodec("fp16").value(); }

Lease Of(uint64_t id, int64_t count = 4) { return {.id = id, .count = count}; }

std::vector<float> RandomGradient(base::Rng& rng) {
  std::vector<float> gradient(kSize);
  for (float& value : gradient) value = static_cast<float>(rng.NextNormal());
  return gradient;
}

std::vector<float> Decoded(const Payload& packet) {
  std::vector<float> values(kSize);
  EXPECT_TRUE(Fp16()->Decode(*packet, values).ok());
  return values;
}

// Promise 4: over many updates of unequal leases, some of them refused and computed again
// elsewhere, what was applied and the residual make up the gradients of the leases that count.
TEST(UpdateEncoder, NoMassIsLostOrMade) {
  UpdateEncoder encoder(Fp16(), {.size = kSize, .residual_size = kTrainable});
  base::Rng rng(4);
  std::vector<double> wanted(kSize), applied(kSize);
  double rounding = 0;
  for (uint64_t id = 1; id <= 400; ++id) {
    const Lease lease = Of(id, 1 + static_cast<int64_t>(rng.NextBelow(9)));
    const auto samples = static_cast<double>(lease.count);
    const std::vector<float> gradient = RandomGradient(rng);
    const std::vector<float> sent = Decoded(encoder.Encode(1, lease, gradient).value());
    const bool counts = rng.NextBelow(3) != 0;
    for (size_t i = 0; i < kTrainable && counts; ++i) {
      wanted[i] += samples * gradient[i];
      applied[i] += samples * sent[i];
      rounding = std::max(rounding, std::fabs(wanted[i] - applied[i]));
    }
    encoder.Settle(1, lease, counts);
  }
  EXPECT_EQ(encoder.in_flight(), 0u);
  EXPECT_GT(rounding, 1e-3) << "the codec loses nothing here, so nothing is shown";
  const auto samples = static_cast<double>(encoder.residual_samples());
  for (size_t i = 0; i < kTrainable; ++i) {
    EXPECT_NEAR(applied[i] + samples * encoder.residual()[i], wanted[i], 1e-4) << i;
  }
}

std::vector<Range> RandomCut(base::Rng& rng) {
  std::vector<Range> ranges;
  for (int64_t begin = 0; begin < kSize; begin = ranges.back().end()) {
    const auto left = static_cast<uint64_t>(kSize - begin);
    ranges.push_back({begin, 1 + static_cast<int64_t>(rng.NextBelow(left))});
  }
  return ranges;
}

// The same in ranges that change from lease to lease, each with a fate of its own, several leases
// in flight at once and settled in any order.
TEST(UpdateEncoder, NoMassIsLostOrMadeWhateverTheRanges) {
  UpdateEncoder encoder(Fp16(), {.size = kSize, .residual_size = kTrainable});
  base::Rng rng(14);
  std::vector<double> wanted(kSize), applied(kSize);
  struct Fate {
    Lease lease;
    Range range;
    bool counts;
  };
  std::vector<Fate> open;
  const auto settle_one = [&] {
    const size_t at = rng.NextBelow(open.size());
    encoder.Settle(1, open[at].lease, open[at].range, open[at].counts);
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
  };
  for (uint64_t id = 1; id <= 200; ++id) {
    const Lease lease = Of(id, 1 + static_cast<int64_t>(rng.NextBelow(9)));
    const std::vector<float> gradient = RandomGradient(rng);
    for (const Range& range : RandomCut(rng)) {
      const auto begin = static_cast<size_t>(range.begin);
      const auto count = static_cast<size_t>(range.count);
      const auto packet =
          encoder.Encode(1, lease, range, std::span(gradient).subspan(begin, count)).value();
      std::vector<float> sent(count);
      ASSERT_TRUE(Fp16()->Decode(*packet, sent).ok());
      const bool counts = rng.NextBelow(3) != 0;
      for (size_t i = begin; i < begin + count && counts; ++i) {
        wanted[i] += static_cast<double>(lease.count) * gradient[i];
        applied[i] += static_cast<double>(lease.count) * sent[i - begin];
      }
      open.push_back({lease, range, counts});
    }
    while (open.size() > 20) settle_one();
  }
  EXPECT_GT(encoder.in_flight(), 0u);
  while (!open.empty()) settle_one();
  EXPECT_EQ(encoder.in_flight(), 0u);
  const auto samples = static_cast<double>(encoder.residual_samples());
  for (size_t i = 0; i < kTrainable; ++i) {
    EXPECT_NEAR(applied[i] + samples * encoder.residual()[i], wanted[i], 1e-4) << i;
  }
  EXPECT_THAT(encoder.residual().subspan(kTrainable), Each(0.0f));
}

TEST(UpdateEncoder, PacketsOfRangesAreThePacketCutUp) {
  UpdateEncoder whole(Fp16(), {.size = kSize, .residual_size = kTrainable});
  UpdateEncoder cut(Fp16(), {.size = kSize, .residual_size = kTrainable});
  base::Rng rng(15);
  for (uint64_t id = 1; id <= 5; ++id) {
    const std::vector<float> gradient = RandomGradient(rng);
    const std::vector<float> want = Decoded(whole.Encode(1, Of(id), gradient).value());
    std::vector<float> got(kSize);
    for (const Range& range : RandomCut(rng)) {
      const auto part = [&](auto& values) {
        return std::span(values).subspan(static_cast<size_t>(range.begin),
                                         static_cast<size_t>(range.count));
      };
      const Payload packet = cut.Encode(1, Of(id), range, part(gradient)).value();
      ASSERT_TRUE(Fp16()->Decode(*packet, part(got)).ok());
    }
    EXPECT_EQ(got, want) << id;
    EXPECT_TRUE(std::ranges::equal(cut.residual(), whole.residual())) << id;
  }
}

// A lease computed again after the ranges changed: where they overlap, the first is void.
TEST(UpdateEncoder, ComputedAgainInOtherRangesCountsOnce) {
  UpdateEncoder encoder(Fp16(), {.size = kSize, .residual_size = kSize});
  base::Rng rng(16);
  ASSERT_TRUE(encoder.Encode(1, Of(1), RandomGradient(rng)).ok());
  encoder.Settle(1, Of(1), true);
  const std::vector<float> before(encoder.residual().begin(), encoder.residual().end());
  const std::vector<float> gradient = RandomGradient(rng);
  const auto part = [&](int64_t begin, int64_t count) {
    return std::span(gradient).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
  };
  const auto encoded = [&](const Range& range) {
    std::vector<float> values(static_cast<size_t>(range.count));
    const Payload packet = encoder.Encode(1, Of(2), range, part(range.begin, range.count)).value();
    EXPECT_TRUE(Fp16()->Decode(*packet, values).ok());
    return values;
  };
  std::vector<float> first = encoded({0, 30});
  const std::vector<float> rest = encoded({30, 20});
  first.insert(first.end(), rest.begin(), rest.end());
  const std::vector<float> again = encoded({20, 15});
  EXPECT_TRUE(std::ranges::equal(again, std::span(first).subspan(20, 15)))
      << "on the same residual";
  EXPECT_EQ(encoder.in_flight(), 1u);
  encoder.Settle(1, Of(2), {0, 30}, false);
  encoder.Settle(1, Of(2), {30, 20}, false);
  for (size_t i = 0; i < kSize; ++i) EXPECT_NEAR(encoder.residual()[i], before[i], 1e-7) << i;
  EXPECT_EQ(encoder.in_flight(), 0u);
}

TEST(UpdateEncoder, TheFateOfARangeIsOfThatRange) {
  UpdateEncoder encoder(Fp16(), {.size = kSize, .residual_size = kSize});
  base::Rng rng(17);
  ASSERT_TRUE(encoder.Encode(1, Of(1), RandomGradient(rng)).ok());
  encoder.Settle(1, Of(1), true);
  const std::vector<float> before(encoder.residual().begin(), encoder.residual().end());
  ASSERT_TRUE(encoder.Encode(1, Of(2), RandomGradient(rng)).ok());
  const std::vector<float> after(encoder.residual().begin(), encoder.residual().end());
  encoder.Settle(1, Of(2), {10, 5}, false);
  EXPECT_EQ(encoder.in_flight(), 1u);
  for (size_t i = 0; i < kSize; ++i) {
    EXPECT_NEAR(encoder.residual()[i], i >= 10 && i < 15 ? before[i] : after[i], 1e-7) << i;
  }
  encoder.Settle(1, Of(2), true);
  encoder.Settle(1, Of(2), false);  // known no more
  EXPECT_EQ(encoder.in_flight(), 0u);
  for (size_t i = 0; i < kSize; ++i) {
    EXPECT_NEAR(encoder.residual()[i], i >= 10 && i < 15 ? before[i] : after[i], 1e-7) << i;
  }
}

TEST(UpdateEncoder, ARefusedUpdateGivesBackWhatItCarriedAndNoMore) {
  UpdateEncoder encoder(Fp16(), {.size = kSize, .residual_size = kTrainable});
  base::Rng rng(5);
  ASSERT_TRUE(encoder.Encode(1, Of(1), RandomGradient(rng)).ok());
  encoder.Settle(1, Of(1), true);
  const std::vector<float> before(encoder.residual().begin(), encoder.residual().end());
  ASSERT_TRUE(encoder.Encode(1, Of(2), RandomGradient(rng)).ok());
  ASSERT_TRUE(encoder.Encode(1, Of(3), RandomGradient(rng)).ok());
  encoder.Settle(1, Of(2), false);
  encoder.Settle(1, Of(3), false);
  for (size_t i = 0; i < kSize; ++i) EXPECT_NEAR(encoder.residual()[i], before[i], 1e-7);
  encoder.Settle(1, Of(3), false);  // known no more
  for (size_t i = 0; i < kSize; ++i) EXPECT_NEAR(encoder.residual()[i], before[i], 1e-7);
}

TEST(UpdateEncoder, StatisticsKeepNoResidual) {
  UpdateEncoder encoder(Fp16(), {.size = kSize, .residual_size = kTrainable});
  base::Rng rng(6);
  ASSERT_TRUE(encoder.Encode(1, Of(1), RandomGradient(rng)).ok());
  EXPECT_THAT(encoder.residual().subspan(kTrainable), Each(0.0f));
  EXPECT_THAT(encoder.residual().first(kTrainable), ::testing::Contains(::testing::Ne(0.0f)));
}

TEST(UpdateEncoder, ComputedTwiceCountsOnce) {
  UpdateEncoder encoder(Fp16(), {.size = kSize, .residual_size = kTrainable});
  base::Rng rng(7);
  const std::vector<float> gradient = RandomGradient(rng);
  const std::vector<float> first = Decoded(encoder.Encode(1, Of(1), gradient).value());
  EXPECT_EQ(Decoded(encoder.Encode(1, Of(1), gradient).value()), first);
  EXPECT_EQ(encoder.in_flight(), 1u);
}

TEST(UpdateEncoder, WithoutResidualEveryPacketStandsAlone) {
  base::Rng rng(8);
  const std::vector<float> gradient = RandomGradient(rng);
  UpdateEncoder deterministic(Fp16(), {.size = kSize});
  UpdateEncoder lossless(codec::MakeCodec("dense").value(),
                         {.size = kSize, .residual_size = kSize});
  for (UpdateEncoder* encoder : {&deterministic, &lossless}) {
    const Payload first = encoder->Encode(1, Of(1), gradient).value();
    EXPECT_EQ(*encoder->Encode(1, Of(2), gradient).value(), *first);
    EXPECT_THAT(encoder->residual(), IsEmpty());
    EXPECT_EQ(encoder->in_flight(), 0u);
  }
}

TEST(UpdateEncoder, AGradientOfAnotherSizeIsRefused) {
  UpdateEncoder encoder(Fp16(), {.size = kSize});
  const std::vector<float> gradient(kSize);
  for (const Range& range : {Range{-1, 4}, Range{kSize - 3, 4}, Range{0, -1}, Range{0, 5}}) {
    const auto values = std::span(gradient).first(4);
    EXPECT_EQ(encoder.Encode(1, Of(1), range, values).status().code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(encoder.Encode(1, Of(1), std::vector<float>(3)).status().code(),
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace weft::cluster
