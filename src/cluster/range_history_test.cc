#include "cluster/range_history.h"

#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

Committed Record(int64_t step, size_t leases) {
  Committed record{.step = step,
                   .version = step + 3,
                   .leases = {},
                   .devices = {},
                   .loss_sum = 0.25,
                   .correct = 7,
                   .samples = 9,
                   .gradient_norm = 1.5,
                   .problem = {}};
  for (size_t i = 0; i < leases; ++i) {
    const auto number = static_cast<int64_t>(i);
    record.leases.push_back({.id = i + 100,
                             .step = step,
                             .epoch = 2,
                             .slot = number,
                             .begin = 10 * number,
                             .count = number + 1});
    record.devices.push_back(static_cast<DeviceId>(i + 5));
  }
  return record;
}

RangeHistory History() {
  return {.records = {Record(4, 0), Record(5, 3)}, .before = std::make_shared<Bytes>(Bytes{1, 2})};
}

Bytes Encoded(const RangeHistory& history) {
  Bytes bytes;
  EncodeRangeHistory(history, &bytes);
  return bytes;
}

TEST(RangeHistory, ComesBackAsItWas) {
  const auto back = DecodeRangeHistory(Encoded(History()));
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(*back->before, *History().before);
  ASSERT_EQ(back->records.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const Committed& got = back->records[i];
    const Committed want = History().records[i];
    EXPECT_EQ(got.step, want.step);
    EXPECT_EQ(got.version, want.version);
    EXPECT_EQ(got.leases, want.leases);
    EXPECT_EQ(got.devices, want.devices);
    EXPECT_EQ(got.loss_sum, want.loss_sum);
    EXPECT_EQ(got.correct, want.correct);
    EXPECT_EQ(got.samples, want.samples);
    EXPECT_EQ(got.gradient_norm, want.gradient_norm);
  }
}

TEST(RangeHistory, OfNothingIsSixteenBytesBehindWhatIsThere) {
  Bytes bytes = {9, 9, 9};
  EncodeRangeHistory({}, &bytes);
  EXPECT_EQ(bytes.size(), 3u + 16u);
  const auto back = DecodeRangeHistory(ByteView(bytes).subspan(3));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->before, nullptr);
  EXPECT_TRUE(back->records.empty());
}

TEST(RangeHistory, AnyDamageIsNoticed) {
  const Bytes good = Encoded(History());
  for (size_t at = 0; at < good.size(); ++at) {
    Bytes damaged = good;
    damaged[at] ^= 0x10;
    EXPECT_EQ(DecodeRangeHistory(damaged).status().code(), Code::kDataLoss) << at;
    EXPECT_FALSE(DecodeRangeHistory(ByteView(good).first(at)).ok()) << at;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(DecodeRangeHistory(longer).ok());
}

}  // namespace
}  // namespace weft::cluster
