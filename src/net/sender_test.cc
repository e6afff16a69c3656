#include "net/sender.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "net/testing_messages.h"

namespace weft::net {
namespace {

using cluster::Envelope;

using testing::Say;

Envelope Control(uint64_t term) { return Say(cluster::Heartbeat{.term = term}); }

Envelope Bulk(int64_t version, size_t bytes) {
  return Say(cluster::Parameters{.version = version,
                                 .values = std::make_shared<const Bytes>(bytes, uint8_t{7})});
}

// "1 heartbeat", "2 parameters 4/10", "2 +4": number, kind, data bytes of promised ones.
std::string Describe(const v1::Frame& frame) {
  std::string text = std::to_string(frame.message());
  if (!frame.has_head()) return text + " +" + std::to_string(frame.data().size());
  if (frame.head().has_heartbeat()) return text + " heartbeat";
  return text + " parameters " + std::to_string(frame.data().size()) + "/" +
         std::to_string(frame.payload_bytes());
}

std::vector<std::string> Drain(Sender* sender, size_t frames) {
  std::vector<std::string> all;
  v1::Frame frame;
  while (all.size() < frames && sender->Next(&frame)) all.push_back(Describe(frame));
  return all;
}

using Lines = std::vector<std::string>;

TEST(Sender, CutsAPayloadIntoChunks) {
  Sender sender({.chunk_bytes = 4});
  ASSERT_EQ(sender.Enqueue(Bulk(1, 10)), OkStatus());
  EXPECT_EQ(Drain(&sender, 9), (Lines{"1 parameters 4/10", "1 +4", "1 +2"}));
  ASSERT_EQ(sender.Enqueue(Bulk(2, 8)), OkStatus());
  EXPECT_EQ(Drain(&sender, 9), (Lines{"2 parameters 4/8", "2 +4"}));
  EXPECT_EQ(sender.queued_bytes(), 0u);
}

TEST(Sender, CutsALargeFrameInTwoSoThatItCanBeTimed) {
  Sender sender({});
  ASSERT_EQ(sender.Enqueue(Bulk(1, 64 << 10)), OkStatus());
  ASSERT_EQ(sender.Enqueue(Bulk(2, (64 << 10) - 1)), OkStatus());
  EXPECT_EQ(Drain(&sender, 9),
            (Lines{"1 parameters 32768/65536", "1 +32768", "2 parameters 65535/65535"}));
}

TEST(Sender, MessagesWithoutAPayloadGoBetweenTheChunksOfOthers) {
  Sender sender({.chunk_bytes = 4});
  ASSERT_EQ(sender.Enqueue(Bulk(1, 10)), OkStatus());
  EXPECT_EQ(Drain(&sender, 1), (Lines{"1 parameters 4/10"}));
  ASSERT_EQ(sender.Enqueue(Bulk(2, 3)), OkStatus());
  ASSERT_EQ(sender.Enqueue(Control(5)), OkStatus());
  ASSERT_EQ(sender.Enqueue(Control(6)), OkStatus());
  EXPECT_EQ(Drain(&sender, 9),
            (Lines{"2 heartbeat", "3 heartbeat", "1 +4", "1 +2", "4 parameters 3/3"}));
}

Envelope Of(const cluster::Range& range, size_t bytes) {
  return Say(cluster::Parameters{.values = std::make_shared<const Bytes>(bytes, uint8_t{7}),
                                 .range = range});
}

// By their sizes. What has begun is interrupted.
TEST(Sender, ParametersLeaveInTheOrderOfTheirRangesAndBehindUpdates) {
  Sender sender({.chunk_bytes = 4});
  ASSERT_EQ(sender.Enqueue(Of({40, 10}, 5)), OkStatus());
  EXPECT_EQ(Drain(&sender, 1), (Lines{"1 parameters 4/5"}));
  ASSERT_EQ(sender.Enqueue(Of({30, 10}, 3)), OkStatus());
  ASSERT_EQ(sender.Enqueue(Of({10, 10}, 1)), OkStatus());
  ASSERT_EQ(sender.Enqueue(Of({20, 10}, 2)), OkStatus());
  cluster::Push push{.gradient = std::make_shared<const Bytes>(4, uint8_t{7})};
  ASSERT_EQ(sender.Enqueue(Say(push)), OkStatus());
  v1::Frame frame;
  std::vector<uint64_t> sizes;
  while (sender.Next(&frame)) sizes.push_back(frame.data().size());
  EXPECT_EQ(sizes, (std::vector<uint64_t>{4, 1, 2, 3, 1}));
  EXPECT_EQ(sender.queued_bytes(), 0u);
}

TEST(Sender, NoMoreMessagesAreOpenThanThePeerTakes) {
  Sender sender({.max_open_messages = 2, .chunk_bytes = 4});
  std::vector<std::string> lines;
  for (const int64_t begin : {30, 20, 10, 0}) {
    ASSERT_EQ(sender.Enqueue(Of({begin, 10}, 8)), OkStatus());
    lines.push_back(Drain(&sender, 1).at(0));
  }
  EXPECT_EQ(lines, (Lines{"1 parameters 4/8", "2 parameters 4/8", "2 +4", "3 parameters 4/8"}));
  EXPECT_EQ(Drain(&sender, 9), (Lines{"3 +4", "1 +4", "4 parameters 4/8", "4 +4"}));
}

size_t NextSize(Sender* sender) {
  v1::Frame frame;
  return sender->Next(&frame) ? frame.data().size() : 0;
}

TEST(Sender, ChunksAreOfWhatTheLinkTakesInATenthOfASecond) {
  Sender sender({});
  ASSERT_EQ(sender.Enqueue(Bulk(1, 16 << 20)), OkStatus());
  EXPECT_EQ(NextSize(&sender), size_t{64} << 10);
  // 1 Mbit/s: at once for a link, as it went into a buffer, then for what it is.
  sender.NoteWrite(64 << 10, 0.001);
  for (int i = 0; i < 9; ++i) {
    const size_t size = NextSize(&sender);
    sender.NoteWrite(size, static_cast<double>(size) * 8 / 1e6);
  }
  EXPECT_EQ(NextSize(&sender), Sender::kLeastChunkBytes);
  sender.NoteWrite(1000, 0);
  sender.NoteWrite(16 << 10, 0.05);
  EXPECT_EQ(NextSize(&sender), Sender::kLeastChunkBytes) << "a small frame tells nothing";
  // 1 Gbit/s.
  for (int i = 0; i < 9; ++i) {
    const size_t size = NextSize(&sender);
    sender.NoteWrite(size, static_cast<double>(size) * 8 / 1e9);
  }
  EXPECT_EQ(NextSize(&sender), size_t{64} << 10);
}

TEST(Sender, AnEmptyPayloadAndNoneAreOneFrame) {
  Sender sender({});
  ASSERT_EQ(sender.Enqueue(Bulk(1, 0)), OkStatus());
  ASSERT_EQ(sender.Enqueue(Say(cluster::Parameters{})), OkStatus());
  EXPECT_EQ(Drain(&sender, 9), (Lines{"1 parameters 0/0", "2 parameters 0/0"}));
}

TEST(Sender, RefusesMoreThanMayWaitButNeverTheFirst) {
  Sender sender({.max_payload_bytes = 5000,
                 .chunk_bytes = 1000,
                 .max_queued_bulk_bytes = 4000,
                 .max_queued_control_bytes = 1000});
  EXPECT_EQ(sender.Enqueue(Bulk(1, 5001)).code(), Code::kInvalidArgument);
  ASSERT_EQ(sender.Enqueue(Bulk(1, 5000)), OkStatus()) << "above the queue's limit, but alone";
  EXPECT_EQ(sender.Enqueue(Bulk(2, 1)).code(), Code::kResourceExhausted);

  int accepted = 0;
  Status status;
  for (; accepted < 100 && status.ok(); ++accepted) status = sender.Enqueue(Control(1));
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_GE(accepted, 2);
  EXPECT_LE(accepted, 5);

  Drain(&sender, 100);
  EXPECT_EQ(sender.queued_bytes(), 0u);
  EXPECT_EQ(sender.Enqueue(Bulk(2, 1)), OkStatus());
  EXPECT_EQ(sender.Enqueue(Control(1)), OkStatus());
}

TEST(Sender, ARefusedMessageLeavesNoTrace) {
  Sender sender({});
  EXPECT_EQ(
      sender.Enqueue(Say(cluster::Bye{.reason = std::string(kMaxReasonBytes + 1, 'x')})).code(),
      Code::kInvalidArgument);
  ASSERT_EQ(sender.Enqueue(Control(1)), OkStatus());
  EXPECT_EQ(Drain(&sender, 9), (Lines{"1 heartbeat"}));
}

TEST(Sender, ClearForgetsAllAndFreesThePayload) {
  Sender sender({.chunk_bytes = 4});
  auto payload = std::make_shared<const Bytes>(100);
  ASSERT_EQ(sender.Enqueue(Say(cluster::Parameters{.values = payload})), OkStatus());
  ASSERT_EQ(sender.Enqueue(Control(1)), OkStatus());
  EXPECT_EQ(payload.use_count(), 2) << "queued by reference";
  Drain(&sender, 2);
  sender.Clear();
  EXPECT_EQ(payload.use_count(), 1);
  EXPECT_EQ(sender.queued_bytes(), 0u);
  EXPECT_EQ(Drain(&sender, 9), Lines{});
}

}  // namespace
}  // namespace weft::net
