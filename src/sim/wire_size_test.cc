#include "sim/wire_size.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace weft::sim {
namespace {

TEST(WireSize, SmallMessagesAreOnePacketOfHundredsOfBytes) {
  for (const cluster::Message& message :
       {cluster::Message(cluster::Hello{.name = "device-1"}),
        cluster::Message(cluster::Heartbeat{}), cluster::Message(cluster::Grant{}),
        cluster::Message(cluster::PushAck{}), cluster::Message(cluster::Pull{})}) {
    const int64_t bytes = LinkBytes(StreamBytes(message, {}));
    EXPECT_GT(bytes, 100) << MessageName(message);
    EXPECT_LT(bytes, 300) << MessageName(message);
    EXPECT_FALSE(HasPayload(message));
  }
}

TEST(WireSize, WelcomeCarriesItsTexts) {
  cluster::Welcome welcome;
  const int64_t empty = StreamBytes(welcome, {});
  welcome.job = std::string(1000, 'j');
  welcome.model = std::string(500, 'm');
  EXPECT_EQ(StreamBytes(welcome, {}), empty + 1500);
}

TEST(WireSize, WhatADeviceDoesNotKnowOfItsPlansTakesNoBytes) {
  cluster::Heartbeat beat;
  const int64_t without = StreamBytes(beat, {});
  beat.stats.plan_seconds = 0.5;
  EXPECT_EQ(StreamBytes(beat, {}), without + 9);
}

TEST(WireSize, PayloadsCountByTheirSizeOrAsTold) {
  cluster::Push push;
  push.gradient = std::make_shared<const Bytes>(1000);
  const int64_t real = StreamBytes(push, {});
  EXPECT_GT(real, 1000);
  EXPECT_LT(real, 1250);
  EXPECT_EQ(StreamBytes(push, {.push_bytes = 2000}), real + 1000);
  EXPECT_EQ(StreamBytes(cluster::Parameters{}, {.parameters_bytes = 3000}),
            StreamBytes(cluster::Parameters{}, {.parameters_bytes = 2000}) + 1000);
  EXPECT_EQ(StreamBytes(cluster::Samples{.count = 7}, {.sample_bytes = 300}),
            StreamBytes(cluster::Samples{.count = 3}, {.sample_bytes = 300}) + 1200);
  EXPECT_TRUE(HasPayload(cluster::Samples{}));
}

cluster::Parameters Deltas(uint32_t count) {
  auto deltas = std::make_shared<Bytes>();
  base::ByteWriter out(deltas.get());
  for (uint32_t i = 0; i < count; ++i) {
    out.Put(uint32_t{4});
    out.Put(uint32_t{1});
    out.Put(uint32_t{0});
  }
  return {.version = 9, .values = deltas, .log = 3, .base = 9 - count};
}

TEST(WireSize, DeltasCountOneByOneUpToTheWhole) {
  const WireOptions wire{.parameters_bytes = 1000, .replica_bytes = 10'000};
  EXPECT_NEAR(StreamBytes(Deltas(1), wire), 1000, 150);
  EXPECT_NEAR(StreamBytes(Deltas(5), wire) - StreamBytes(Deltas(4), wire), 1000, 15);
  EXPECT_EQ(StreamBytes(Deltas(50), wire), StreamBytes(Deltas(10), wire));
  EXPECT_NEAR(StreamBytes(cluster::Parameters{.log = 3}, wire), 10'000, 150) << "whole";
  EXPECT_LT(StreamBytes(cluster::Parameters{.log = 3, .base = 9}, wire), 150) << "nothing newer";
  EXPECT_NEAR(StreamBytes(cluster::Parameters{}, wire), 1000, 150) << "no differences at all";
}

TEST(WireSize, ARangeWeighsItsShareOfWhatTheVectorIsToldToWeigh) {
  const WireOptions wire{.values = 100,
                         .push_bytes = 40'000,
                         .parameters_bytes = 20'000,
                         .replica_bytes = 80'000,
                         .state_bytes = 120'000};
  const cluster::Range quarter{25, 25};
  const auto more = [&](cluster::Message of_range, cluster::Message of_all) {
    return StreamBytes(of_all, wire) - StreamBytes(of_range, wire);
  };
  // The rest of each takes one or two HTTP/2 frames fewer.
  EXPECT_NEAR(more(cluster::Push{.range = quarter}, cluster::Push{}), 30'000, 30);
  EXPECT_NEAR(more(cluster::Parameters{.range = quarter}, cluster::Parameters{}), 15'000, 30);
  EXPECT_NEAR(more(cluster::Replicate{.range = quarter}, cluster::Replicate{}), 60'000, 60);
  EXPECT_NEAR(more(cluster::RangeState{.range = quarter}, cluster::RangeState{}), 90'000, 60);
  EXPECT_EQ(more(cluster::Push{.range = {0, 100}}, cluster::Push{}), 0);
  EXPECT_EQ(StreamBytes(cluster::Push{.range = quarter}, {.push_bytes = 40'000}),
            StreamBytes(cluster::Push{}, wire))
      << "a vector of unknown size is whole";
}

TEST(WireSize, WhatLeadersTellEachOtherHasItsRealSize) {
  const auto packet = std::make_shared<const Bytes>(1000);
  EXPECT_GT(StreamBytes(cluster::Replicate{.gradient = packet}, {}),
            StreamBytes(cluster::Replicate{}, {}) + 999);
  EXPECT_GT(StreamBytes(cluster::RangeState{.values = packet}, {}),
            StreamBytes(cluster::RangeState{}, {}) + 999);
  EXPECT_TRUE(HasPayload(cluster::Replicate{}));
  EXPECT_TRUE(HasPayload(cluster::RangeState{}));
}

// 66 of 1514 bytes are headers, and 9 of 16,393 of the rest, 25 of each 256 KiB.
TEST(WireSize, HeadersOfLargePayloadsAreFivePerCent) {
  const int64_t payload = 10'000'000;
  const int64_t stream = StreamBytes(cluster::Push{}, {.push_bytes = payload});
  EXPECT_NEAR(static_cast<double>(stream) / payload, 1.00065, 0.00005);
  EXPECT_NEAR(static_cast<double>(LinkBytes(stream)) / static_cast<double>(stream), 1.04558,
              0.00005);
  EXPECT_NEAR(static_cast<double>(AckBytes(stream)) / static_cast<double>(stream), 0.02279,
              0.00005);
}

}  // namespace
}  // namespace weft::sim
