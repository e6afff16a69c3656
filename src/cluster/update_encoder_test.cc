#include "cluster/update_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  EXPECT_EQ(encoder.Encode(1, Of(1), std::vector<float>(3)).status().code(),
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace weft::cluster
