#include "cluster/delta_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"
#include "cluster/delta_testing.h"
#include "cluster/held_parameters.h"

namespace weft::cluster {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::FewLargest;

constexpr Range kRange = {100, 8};
constexpr size_t kWhole = 16 + 8 * 4;
constexpr size_t kDelta = 8 + 8 + 6;  // of FewLargest(1): head, base, a value

class Log : public ::testing::Test {
 protected:
  explicit Log(size_t whole_bytes = kWhole)
      : log_(std::make_unique<FewLargest>(1),
             {.number = 7, .range = kRange, .whole_bytes = whole_bytes}, 3, parameters_) {}

  void Come(int64_t version) {
    std::vector<float> scratch(8);
    log_.CatchUp(version, parameters_, scratch);
  }
  // Where deltas take `values` from `base`.
  Status Follow(int64_t base, std::vector<float>* values) {
    const auto deltas = log_.Since(base);
    if (!deltas) return base::NotFound("it does not reach back");
    std::vector<float> scratch(8);
    const Bytes bytes = *deltas == nullptr ? Bytes() : **deltas;
    return AddDeltas(FewLargest(1), {.begin = 100, .base = base}, log_.version(), bytes, *values,
                     scratch);
  }

  std::vector<float> parameters_ = std::vector<float>(8);
  DeltaLog log_;
};

TEST_F(Log, BeginsWithTheParametersAsTheyAre) {
  EXPECT_EQ(log_.number(), 7u);
  EXPECT_EQ(log_.version(), 3);
  EXPECT_THAT(log_.held(), Each(0.0f));
  ASSERT_TRUE(log_.Since(3).has_value());
  EXPECT_EQ(*log_.Since(3), nullptr) << "nothing is lacking";
  EXPECT_FALSE(log_.Since(2).has_value());
  EXPECT_FALSE(log_.Since(4).has_value());
}

TEST_F(Log, WhatADeltaLeavesOutIsInTheNextOne) {
  parameters_[1] = 4;
  parameters_[2] = 2;
  Come(4);
  EXPECT_THAT(log_.held(), ElementsAre(0, 4, 0, 0, 0, 0, 0, 0));
  parameters_[2] = 2.5;
  Come(5);
  EXPECT_THAT(log_.held(), ElementsAre(0, 4, 2.5, 0, 0, 0, 0, 0));
}

TEST_F(Log, WhatTheCodecRoundsOffIsInTheNextOne) {
  parameters_[0] = 1 + 0x1p-10f;
  Come(4);
  EXPECT_EQ(log_.held()[0], 1.0f) << "upper half of the bits";
  Come(5);
  EXPECT_EQ(log_.held()[0], parameters_[0]);
}

TEST_F(Log, TheSameVersionAgainChangesNothing) {
  parameters_[1] = parameters_[2] = 1;
  Come(4);
  const std::vector<float> held(log_.held().begin(), log_.held().end());
  Come(4);
  EXPECT_TRUE(std::ranges::equal(log_.held(), held));
}

TEST_F(Log, DeltasTakeAVersionToTheNewest) {
  std::vector<float> values(8);
  parameters_[1] = 4;
  Come(4);
  ASSERT_EQ((**log_.Since(3)).size(), kDelta);
  parameters_[5] = -1;
  Come(6);  // 5 was skipped: nobody asked for it
  ASSERT_EQ(Follow(3, &values), OkStatus());
  EXPECT_TRUE(std::ranges::equal(values, log_.held()));
  EXPECT_EQ(CountDeltas(**log_.Since(3)), 2);
  EXPECT_EQ(*log_.Since(3), *log_.Since(3)) << "made once for all who ask";
  EXPECT_EQ(CountDeltas(**log_.Since(4)), 1);
  EXPECT_FALSE(log_.Since(5).has_value()) << "nobody holds that";
}

TEST_F(Log, KeepsFewerBytesThanTheWholeHas) {
  for (int64_t version = 4; version < 20; ++version) {
    parameters_[static_cast<size_t>(version) % 8] += 1;
    Come(version);
    size_t bytes = 0;
    for (int64_t base = 3; base < version; ++base) {
      if (const auto deltas = log_.Since(base)) bytes = std::max(bytes, (**deltas).size());
    }
    EXPECT_LT(bytes, kWhole);
  }
  EXPECT_TRUE(log_.Since(17).has_value()) << "two fit";
  EXPECT_FALSE(log_.Since(16).has_value());
}

class SmallRange : public Log {
 protected:
  SmallRange() : Log(kDelta) {}
};

TEST_F(SmallRange, WhereDeltasSaveNothingWorkersHoldTheParametersThemselves) {
  parameters_ = {1, 2, 3, 4, 5, 6, 7, 8};
  Come(4);
  EXPECT_TRUE(std::ranges::equal(log_.held(), parameters_));
  EXPECT_FALSE(log_.Since(3).has_value());
  EXPECT_TRUE(log_.Since(4).has_value());
}

TEST_F(Log, WhatTheCodecRefusesGoesWhole) {
  parameters_[1] = 1;
  Come(4);
  parameters_[2] = std::numeric_limits<float>::infinity();
  Come(5);
  EXPECT_TRUE(std::ranges::equal(log_.held(), parameters_));
  EXPECT_FALSE(log_.Since(3).has_value());
  EXPECT_FALSE(log_.Since(4).has_value());
}

class ManyDeltas : public Log {
 protected:
  ManyDeltas() : Log(1 << 20) {}
};

TEST_F(ManyDeltas, AreForgottenFromTheOldestOn) {
  const int64_t last = 3 + static_cast<int64_t>(DeltaLog::kMostDeltas) + 5;
  for (int64_t version = 4; version <= last; ++version) {
    parameters_[0] += 1;
    Come(version);
  }
  EXPECT_FALSE(log_.Since(7).has_value());
  std::vector<float> values(8);
  values[0] = 5;
  EXPECT_EQ(Follow(8, &values), OkStatus());
  EXPECT_TRUE(std::ranges::equal(values, log_.held()));
}

TEST_F(Log, DamagedDeltasAreRefused) {
  parameters_[1] = 4;
  Come(4);
  parameters_[3] = 3;
  Come(5);
  const Bytes right = **log_.Since(3);
  const auto add = [&](const Bytes& deltas, int64_t base, int64_t version) {
    std::vector<float> values(8), scratch(8);
    return AddDeltas(FewLargest(1), {.begin = 100, .base = base}, version, deltas, values, scratch)
        .code();
  };
  EXPECT_EQ(add(right, 3, 5), Code::kOk);
  EXPECT_EQ(add(right, 3, 4), Code::kDataLoss) << "one too many";
  EXPECT_EQ(add(right, 3, 6), Code::kDataLoss) << "one too few";
  EXPECT_EQ(add(right, 2, 4), Code::kDataLoss) << "another base";
  EXPECT_EQ(add({}, 3, 4), Code::kDataLoss);
  EXPECT_EQ(add({}, 3, 3), Code::kOk);
  EXPECT_EQ(add({}, 4, 3), Code::kDataLoss);
  const auto least = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(add(right, least, std::numeric_limits<int64_t>::max()), Code::kDataLoss);
  for (size_t size = 0; size < right.size(); ++size) {
    EXPECT_EQ(add(Bytes(right.begin(), right.begin() + static_cast<std::ptrdiff_t>(size)), 3, 5),
              Code::kDataLoss)
        << size << " bytes";
  }
  Bytes standstill = right;
  standstill[4] = 0;
  EXPECT_EQ(add(standstill, 3, 5), Code::kDataLoss) << "no version on";
  EXPECT_LE(CountDeltas(standstill), 2);
}

TEST_F(Log, MoreDeltasThanALogKeepsAreRefused) {
  Bytes many;
  base::ByteWriter out(&many);
  const auto count = static_cast<int64_t>(DeltaLog::kMostDeltas) + 1;
  for (int64_t base = 0; base < count; ++base) {
    out.Put(uint32_t{8});
    out.Put(uint32_t{1});
    out.Put(base);
  }
  std::vector<float> values(8), scratch(8);
  EXPECT_EQ(AddDeltas(FewLargest(1), {}, count, many, values, scratch).code(), Code::kDataLoss);
  EXPECT_EQ(AddDeltas(FewLargest(1), {}, count - 1, ByteView(many).first(many.size() - 16), values,
                      scratch),
            OkStatus());
}

TEST(WholeCodec, IsDenseWhereThereAreDifferences) {
  EXPECT_EQ((*MakeWholeCodec({.name = "dense"}))->name(), "dense");
  EXPECT_EQ((*MakeWholeCodec({.name = "fp16"}))->name(), "fp16");
  EXPECT_EQ((*MakeWholeCodec({.name = "chunk-topk"}))->name(), "dense");
  EXPECT_FALSE(MakeWholeCodec({.name = "chunk"}).ok());
}

// Whatever is lost, repeated, overtaken or skipped on the way, a worker that holds a version of the
// log has its bits.
TEST(HeldByAWorker, IsWhatTheLogSaysBitForBit) {
  constexpr Range kAll = {0, 40};
  const auto make = [] { return std::make_unique<FewLargest>(3); };
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    base::Rng rng(seed);
    std::vector<float> x(40), scratch(40);
    for (float& value : x) value = static_cast<float>(rng.NextUniform(-1, 1));
    DeltaLog log(make(), {.number = 9, .range = kAll, .whole_bytes = 16 + 40 * 4}, 0, x);
    HeldParameters held;
    held.UseCodec(make(), 0);
    held.SetCut(
        {.number = 1,
         .parts = {
             {.range = kAll, .leader = {}, .endpoint = {}, .standby = 0, .standby_endpoint = {}}}});
    const auto dense = codec::MakeDense();
    std::map<int64_t, std::vector<float>> was{{0, x}};
    std::vector<Parameters> wire;
    int64_t version = 0, by_delta = 0;
    for (int round = 0; round < 300; ++round) {
      for (uint64_t i = rng.NextBelow(3); i > 0; --i, ++version) {
        for (float& value : x) value += static_cast<float>(rng.NextUniform(-0.1, 0.1));
      }
      const HeldParameters::Base base = held.BaseOf(kAll);
      Parameters answer{.version = version, .range = kAll, .log = log.number()};
      log.CatchUp(version, x, scratch);
      was[version].assign(log.held().begin(), log.held().end());
      const auto deltas = base.log == log.number() ? log.Since(base.version) : std::nullopt;
      if (deltas) {
        answer.values = *deltas;
        answer.base = base.version;
      } else {
        auto whole = std::make_shared<Bytes>();
        ASSERT_TRUE(dense->Encode(log.held(), {}, whole.get()).ok());
        answer.values = std::move(whole);
      }
      if (rng.NextBelow(4) > 0) wire.push_back(answer);
      if (rng.NextBelow(4) == 0) wire.push_back(answer);
      while (!wire.empty() && rng.NextBelow(4) > 0) {
        const auto next = wire.begin() + static_cast<std::ptrdiff_t>(rng.NextBelow(wire.size()));
        const bool taken = held.Put(*next) == HeldParameters::Got::kTaken;
        by_delta += taken && next->base >= 0 ? 1 : 0;
        wire.erase(next);
      }
      for (const auto& [number, bits] : was) {
        const Payload packet = held.ValuesOf(kAll, number);
        if (packet == nullptr) continue;
        std::vector<float> values(40);
        ASSERT_TRUE(dense->Decode(*packet, values).ok());
        ASSERT_EQ(values, bits) << "version " << number << ", seed " << seed;
      }
    }
    EXPECT_GT(by_delta, 50) << "seed " << seed;
  }
}

}  // namespace
}  // namespace weft::cluster
