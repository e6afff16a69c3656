#include "net/reassembler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/send_order.h"
#include "net/sender.h"
#include "net/testing_messages.h"
#include "net/wire.h"

namespace weft::net {
namespace {

using cluster::Envelope;
using testing::kKinds;
using testing::RandomEnvelope;
using testing::Same;

v1::Frame First(uint64_t number, uint64_t payload_bytes, size_t data) {
  v1::Frame frame;
  frame.set_message(number);
  frame.mutable_head()->mutable_from()->set_role(v1::ROLE_LEADER);
  frame.mutable_head()->mutable_to()->set_role(v1::ROLE_WORKER);
  frame.mutable_head()->mutable_parameters();
  frame.set_payload_bytes(payload_bytes);
  frame.set_data(std::string(data, 'd'));
  return frame;
}

v1::Frame More(uint64_t number, size_t data) {
  v1::Frame frame;
  frame.set_message(number);
  frame.set_data(std::string(data, 'd'));
  return frame;
}

// Adds all frames; the last must be refused with `code`, all others taken.
void ExpectLastRefused(const SessionOptions& options, const std::vector<v1::Frame>& frames,
                       Code code, const std::string& in_message) {
  Reassembler reassembler(options);
  for (size_t i = 0; i < frames.size(); ++i) {
    const auto result = reassembler.Add(frames[i]);
    if (i + 1 < frames.size()) {
      ASSERT_TRUE(result.ok()) << "frame " << i << ": " << result.status().ToString();
    } else {
      EXPECT_EQ(result.status().code(), code) << in_message;
      EXPECT_NE(result.status().message().find(in_message), std::string::npos)
          << result.status().message();
    }
  }
}

TEST(Reassembler, PutsTogetherWhatTheSenderCut) {
  base::Rng rng(11);
  for (const size_t chunk : {1, 7, 1000, 4096}) {
    Sender sender({.chunk_bytes = chunk});
    Reassembler reassembler({});
    std::vector<Envelope> sent;
    for (size_t i = 0; i < 3 * kKinds; ++i) {
      sent.push_back(RandomEnvelope(rng, i % kKinds));
      ASSERT_EQ(sender.Enqueue(sent.back()), OkStatus());
    }
    std::vector<Envelope> received;
    v1::Frame frame;
    while (sender.Next(&frame)) {
      Result<std::optional<Envelope>> message = reassembler.Add(frame);
      ASSERT_TRUE(message.ok()) << message.status().ToString();
      if (message->has_value()) received.push_back(**std::move(message));
    }
    ASSERT_EQ(received.size(), sent.size());
    // Order is kept among those that have no payload, and among those that have one but where one
    // goes ahead of another (cluster/send_order.h).
    const auto bulk = [](const Envelope& envelope) {
      const cluster::Payload* payload = PayloadOf(envelope.message);
      return payload != nullptr && *payload != nullptr && !(*payload)->empty();
    };
    std::vector<size_t> places;  // of what was received, in what was sent
    for (const Envelope& each : received) {
      const auto same = [&](const Envelope& other) { return Same(each, other); };
      const auto it = std::ranges::find_if(sent, same);
      ASSERT_TRUE(it != sent.end());
      places.push_back(static_cast<size_t>(it - sent.begin()));
    }
    EXPECT_EQ(std::set<size_t>(places.begin(), places.end()).size(), sent.size());
    for (size_t late = 0; late < places.size(); ++late) {
      for (size_t early = 0; early < late; ++early) {
        const Envelope& first = received[early];
        const Envelope& second = received[late];
        if (places[early] < places[late] || bulk(first) != bulk(second)) continue;
        ASSERT_TRUE(bulk(first) && cluster::Overtakes(cluster::SendOrderOf(first.message),
                                                      cluster::SendOrderOf(second.message)))
            << places[early] << " before " << places[late];
      }
    }
    EXPECT_EQ(reassembler.reserved_bytes(), 0u);
  }
}

TEST(Reassembler, TakesInterleavedMessages) {
  Reassembler reassembler({});
  ASSERT_FALSE(reassembler.Add(First(1, 4, 2))->has_value());
  ASSERT_FALSE(reassembler.Add(First(2, 3, 0))->has_value());
  auto second = reassembler.Add(More(2, 3));
  ASSERT_TRUE(second->has_value());
  EXPECT_EQ(std::get<cluster::Parameters>((*second)->message).values->size(), 3u);
  auto first = reassembler.Add(More(1, 2));
  ASSERT_TRUE(first->has_value());
  EXPECT_EQ(*std::get<cluster::Parameters>((*first)->message).values, Bytes(4, 'd'));
}

TEST(Reassembler, AMessageThatCarriesAPayloadNeverHasANullOne) {
  Reassembler reassembler({});
  auto message = reassembler.Add(First(1, 0, 0));
  ASSERT_TRUE(message->has_value());
  ASSERT_NE(std::get<cluster::Parameters>((*message)->message).values, nullptr);
}

TEST(Reassembler, RefusesFramesOutOfOrder) {
  const Code bad = Code::kInvalidArgument;
  ExpectLastRefused({}, {First(0, 1, 1)}, bad, "frame number: got 0, want 1");
  ExpectLastRefused({}, {First(2, 1, 1)}, bad, "frame number: got 2, want 1");
  ExpectLastRefused({}, {First(1, 1, 1), First(3, 1, 1)}, bad, "frame number: got 3, want 2");
  ExpectLastRefused({}, {First(1, 1, 1), More(1, 1)}, bad, "frame number: got 1, want 2");
  ExpectLastRefused({}, {More(1, 1)}, bad, "no head");
  ExpectLastRefused({}, {First(1, 4, 1), First(1, 4, 1)}, bad, "must hold data alone");
  ExpectLastRefused({}, {First(1, 4, 1), More(1, 0)}, bad, "must hold data alone");
}

TEST(Reassembler, RefusesMoreThanWasPromised) {
  const Code bad = Code::kInvalidArgument;
  ExpectLastRefused({}, {First(1, 3, 4)}, bad, "got 4 bytes of payload, want the promised 3");
  ExpectLastRefused({}, {First(1, 3, 2), More(1, 2)}, bad, "got 4 bytes of payload");
  ExpectLastRefused({}, {First(1, 0, 1)}, bad, "got 1 bytes of payload, want the promised 0");
  v1::Frame bye = First(1, 5, 0);
  bye.mutable_head()->mutable_bye();
  ExpectLastRefused({}, {bye}, bad, "want 0 for a kind that carries none");
}

TEST(Reassembler, RefusesWhatIsAboveItsLimits) {
  const Code full = Code::kResourceExhausted;
  const SessionOptions small{.max_payload_bytes = 100, .max_open_messages = 2};
  ExpectLastRefused(small, {First(1, 101, 0)}, full, "payload_bytes: got 101 with 0 more");
  ExpectLastRefused(small, {First(1, ~0ull, 0)}, full, "want at most 100 in all");
  ExpectLastRefused(small, {First(1, 60, 0), First(2, 41, 0)}, full, "got 41 with 60 more");
  ExpectLastRefused(small, {First(1, 60, 0), First(2, ~0ull, 0)}, full, "with 60 more");
  ExpectLastRefused(small, {First(1, 9, 0), First(2, 9, 0), First(3, 9, 0)}, full,
                    "more than 2 messages under way");
  ExpectLastRefused({}, {First(1, 1 << 20, kMaxChunkBytes + 1)}, Code::kInvalidArgument,
                    "frame data: got 524289");
  v1::Frame heavy = First(1, 0, 0);
  heavy.mutable_head()
      ->GetReflection()
      ->MutableUnknownFields(heavy.mutable_head())
      ->AddLengthDelimited(1000, std::string(kMaxHeadBytes, 'u'));
  ExpectLastRefused({}, {heavy}, Code::kInvalidArgument, "head: got");
}

TEST(Reassembler, AFinishedMessageMakesRoomForTheNext) {
  Reassembler reassembler({.max_payload_bytes = 100, .max_open_messages = 1});
  for (uint64_t number = 1; number <= 5; ++number) {
    ASSERT_TRUE(reassembler.Add(First(number, 100, 50)).ok()) << number;
    ASSERT_TRUE(reassembler.Add(More(number, 50))->has_value()) << number;
  }
}

TEST(Reassembler, APromiseAloneTakesNoMemory) {
  Reassembler reassembler({.max_payload_bytes = uint64_t{1} << 40});
  ASSERT_TRUE(reassembler.Add(First(1, uint64_t{1} << 40, 1)).ok());
  EXPECT_LE(reassembler.reserved_bytes(), kReassemblerFloorBytes);
  uint64_t arrived = 1;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(reassembler.Add(More(1, kMaxChunkBytes)).ok());
    arrived += kMaxChunkBytes;
    EXPECT_LE(reassembler.reserved_bytes(), kReassemblerGrowth * arrived);
  }
}

}  // namespace
}  // namespace weft::net
