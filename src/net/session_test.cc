// Hub and Connection together, over loopback and in one process: the same tests for both.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "net/client.h"
#include "net/server.h"
#include "net/testing_messages.h"
#include "net/testing_session.h"

namespace weft::net {
namespace {

using cluster::Envelope;
using testing::Bulk;
using testing::Connect;
using testing::Control;
using testing::FromConnection;
using testing::HubInbox;
using testing::Inbox;
using testing::MustPop;
using testing::TermOf;
using testing::TryConnect;
using testing::Wire;

class SessionTest : public ::testing::TestWithParam<Wire> {
 protected:
  void StartHub(const HubOptions& options = {}) {
    hub_ = testing::StartHub(GetParam(), &hub_inbox_, options);
  }
  std::unique_ptr<Connection> Connect(Inbox* inbox, const ConnectOptions& options = {}) {
    return testing::Connect(GetParam(), hub_.get(), inbox, options);
  }
  // Sends back all that comes.
  void StartEcho(const HubOptions& options = {}) {
    hub_inbox_.on_message = [this](uint64_t connection, const Envelope& envelope) {
      CHECK(hub_->Send(connection, envelope).ok());
    };
    StartHub(options);
  }

  HubInbox hub_inbox_;
  std::unique_ptr<Hub> hub_;
};

TEST_P(SessionTest, EveryKindOfMessageComesThroughBothWays) {
  StartEcho();
  Inbox inbox;
  const auto connection = Connect(&inbox);
  base::Rng rng(5);
  for (size_t kind = 0; kind < testing::kKinds; ++kind) {
    const Envelope sent = testing::RandomEnvelope(rng, kind);
    ASSERT_EQ(connection->Send(sent), OkStatus());
    EXPECT_TRUE(testing::Same(sent, MustPop(&hub_inbox_.messages).envelope)) << kind;
    EXPECT_TRUE(testing::Same(sent, MustPop(&inbox.messages))) << kind;
  }
}

TEST_P(SessionTest, AThousandMessagesKeepTheirOrder) {
  StartEcho();
  Inbox inbox;
  const auto connection = Connect(&inbox);
  for (uint64_t i = 0; i < 1000; ++i) ASSERT_EQ(connection->Send(Control(i)), OkStatus());
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(TermOf(MustPop(&hub_inbox_.messages).envelope), i);
    ASSERT_EQ(TermOf(MustPop(&inbox.messages)), i);
  }
}

// Each side holds its reader at the first message until the other has queued a large message and
// then heartbeats: whatever the machine does meanwhile, all heartbeats must arrive first.
TEST_P(SessionTest, HeartbeatsOvertakeALargePayloadBothWays) {
  constexpr size_t kBytes = 96 << 20;
  constexpr uint64_t kHeartbeats = 20;
  const cluster::Payload payload = testing::PatternPayload(kBytes);
  base::BoundedQueue<uint64_t> at_hub(1);
  base::BoundedQueue<bool> at_device(1);
  base::BoundedQueue<bool> go(2);
  const auto first = [](const Envelope& envelope) {
    return std::holds_alternative<cluster::Hello>(envelope.message);
  };
  hub_inbox_.on_message = [&](uint64_t connection, const Envelope& envelope) {
    if (!first(envelope)) return;
    at_hub.Push(connection);
    go.Pop();
  };
  StartHub();
  Inbox inbox;
  inbox.on_message = [&](const Envelope& envelope) {
    if (!first(envelope)) return;
    at_device.Push(true);
    go.Pop();
  };
  const auto connection = Connect(&inbox);

  ASSERT_EQ(connection->Send(testing::Say(cluster::Hello{})), OkStatus());
  const uint64_t number = MustPop(&at_hub);
  ASSERT_EQ(connection->Send(Bulk(payload)), OkStatus());
  for (uint64_t i = 0; i < kHeartbeats; ++i) ASSERT_EQ(connection->Send(Control(i)), OkStatus());

  ASSERT_EQ(hub_->Send(number, testing::Say(cluster::Hello{})), OkStatus());
  MustPop(&at_device);
  ASSERT_EQ(hub_->Send(number, Bulk(payload)), OkStatus());
  for (uint64_t i = 0; i < kHeartbeats; ++i) ASSERT_EQ(hub_->Send(number, Control(i)), OkStatus());
  go.Push(true);
  go.Push(true);

  ASSERT_TRUE(first(MustPop(&hub_inbox_.messages).envelope));
  ASSERT_TRUE(first(MustPop(&inbox.messages)));
  for (uint64_t i = 0; i < kHeartbeats; ++i) {
    const Envelope up = MustPop(&hub_inbox_.messages).envelope;
    const Envelope down = MustPop(&inbox.messages);
    ASSERT_TRUE(std::holds_alternative<cluster::Heartbeat>(up.message)) << i;
    ASSERT_TRUE(std::holds_alternative<cluster::Heartbeat>(down.message)) << i;
    ASSERT_EQ(TermOf(up), i);
    ASSERT_EQ(TermOf(down), i);
  }
  EXPECT_EQ(testing::PayloadBytes(MustPop(&hub_inbox_.messages).envelope), *payload);
  EXPECT_EQ(testing::PayloadBytes(MustPop(&inbox.messages)), *payload);
}

TEST_P(SessionTest, FiftyConnectionsAtOnce) {
  constexpr uint64_t kConnections = 50;
  constexpr uint64_t kMessages = 20;
  StartEcho();
  std::vector<Inbox> inboxes(kConnections);
  std::vector<std::unique_ptr<Connection>> connections;
  for (Inbox& inbox : inboxes) connections.push_back(Connect(&inbox));
  const cluster::Payload payload = testing::PatternPayload(300000);
  for (uint64_t i = 0; i < kMessages; ++i) {
    for (uint64_t c = 0; c < kConnections; ++c) {
      ASSERT_EQ(connections[c]->Send(Control(1000 * c + i)), OkStatus());
    }
  }
  for (const auto& connection : connections) ASSERT_EQ(connection->Send(Bulk(payload)), OkStatus());
  for (uint64_t c = 0; c < kConnections; ++c) {
    for (uint64_t i = 0; i < kMessages; ++i) {
      ASSERT_EQ(TermOf(MustPop(&inboxes[c].messages)), 1000 * c + i);
    }
    ASSERT_EQ(testing::PayloadBytes(MustPop(&inboxes[c].messages)), *payload);
  }
  connections.clear();
  std::vector<bool> seen(kConnections + 1);
  for (uint64_t c = 0; c < kConnections; ++c) {
    const uint64_t number = MustPop(&hub_inbox_.gone).connection;
    ASSERT_TRUE(number >= 1 && number <= kConnections);
    EXPECT_FALSE(seen[number]) << "reported twice";
    seen[number] = true;
  }
}

TEST_P(SessionTest, ADeviceThatLeavesOnPurposeIsHeardToTheEnd) {
  StartHub();
  Inbox inbox;
  const auto connection = Connect(&inbox);
  const cluster::Payload payload = testing::PatternPayload(3 << 20);
  ASSERT_EQ(connection->Send(Bulk(payload)), OkStatus());
  connection->Close(testing::kPatience);
  EXPECT_EQ(MustPop(&inbox.gone), OkStatus());
  EXPECT_EQ(MustPop(&hub_inbox_.gone).status, OkStatus());
  EXPECT_EQ(testing::PayloadBytes(MustPop(&hub_inbox_.messages).envelope), *payload);
  EXPECT_EQ(connection->Send(Control(1)).code(), Code::kUnavailable);
  EXPECT_EQ(hub_->Send(1, Control(1)).code(), Code::kNotFound);
}

TEST_P(SessionTest, ADeviceThatVanishesIsNoticed) {
  StartHub();
  Inbox inbox;
  auto connection = Connect(&inbox);
  ASSERT_EQ(connection->Send(Control(1)), OkStatus());
  MustPop(&hub_inbox_.messages);
  connection.reset();
  const testing::Gone gone = MustPop(&hub_inbox_.gone);
  EXPECT_EQ(gone.connection, 1u);
  EXPECT_EQ(gone.status.code(), Code::kUnavailable);
  EXPECT_EQ(MustPop(&inbox.gone).code(), Code::kCancelled);
}

// The last word of a coordinator, such as Refuse, must not be lost, even while the device is still
// sending.
TEST_P(SessionTest, WhatWasSentBeforeTheHubClosesArrives) {
  const cluster::Payload payload = testing::PatternPayload(4 << 20);
  hub_inbox_.on_message = [this](uint64_t connection, const Envelope& envelope) {
    if (!std::holds_alternative<cluster::Heartbeat>(envelope.message)) return;
    CHECK(hub_->Send(connection, Bulk(testing::PatternPayload(1 << 20))).ok());
    CHECK(hub_->Send(connection, testing::Say(cluster::Refuse{.reason = "full"})).ok());
    hub_->Close(connection);
  };
  StartHub();
  for (int i = 0; i < 50; ++i) {
    Inbox inbox;
    const auto connection = Connect(&inbox);
    ASSERT_EQ(connection->Send(Control(1)), OkStatus());
    // May be refused when the end has come already.
    if (i % 2 == 0) (void)connection->Send(Bulk(payload));
    const Status status = MustPop(&inbox.gone);
    EXPECT_EQ(status, OkStatus()) << status.ToString();
    int messages = 0;
    while (inbox.messages.PopFor(Duration::zero())) ++messages;
    EXPECT_EQ(messages, 2) << "round " << i;
    EXPECT_EQ(MustPop(&hub_inbox_.gone).status, OkStatus());
  }
}

TEST_P(SessionTest, DroppingTellsTheDeviceWhy) {
  StartHub();
  Inbox inbox;
  const auto connection = Connect(&inbox);
  ASSERT_EQ(connection->Send(Control(1)), OkStatus());
  const uint64_t number = MustPop(&hub_inbox_.messages).connection;
  hub_->Drop(number, {Code::kDeadlineExceeded, "no heartbeat"});
  const Status status = MustPop(&inbox.gone);
  EXPECT_EQ(status.code(), Code::kDeadlineExceeded);
  EXPECT_NE(status.message().find("no heartbeat"), std::string::npos);
  EXPECT_EQ(MustPop(&hub_inbox_.gone).status.code(), Code::kDeadlineExceeded);
}

TEST_P(SessionTest, ADeviceThatStoppedReadingCanBeDropped) {
  StartHub();
  base::BoundedQueue<bool> go(1);
  Inbox inbox;
  inbox.on_message = [&](const Envelope&) { go.Pop(); };
  const auto connection = Connect(&inbox);
  ASSERT_EQ(connection->Send(Control(1)), OkStatus());
  const uint64_t number = MustPop(&hub_inbox_.messages).connection;
  ASSERT_EQ(hub_->Send(number, Control(1)), OkStatus());
  ASSERT_EQ(hub_->Send(number, Bulk(testing::PatternPayload(32 << 20))), OkStatus());
  hub_->Close(number);
  hub_->Drop(number, {Code::kDeadlineExceeded, "no heartbeat"});
  EXPECT_EQ(MustPop(&hub_inbox_.gone).connection, number);
  go.Push(true);
  EXPECT_FALSE(MustPop(&inbox.gone).ok());
}

TEST_P(SessionTest, ShutdownTellsAllDevicesAndAdmitsNoOther) {
  StartHub();
  std::vector<Inbox> inboxes(5);
  std::vector<std::unique_ptr<Connection>> connections;
  for (Inbox& inbox : inboxes) connections.push_back(Connect(&inbox));
  for (uint64_t c = 0; c < 5; ++c) {
    ASSERT_EQ(connections[c]->Send(Control(c)), OkStatus());
    ASSERT_EQ(hub_->Send(MustPop(&hub_inbox_.messages).connection, Control(9)), OkStatus());
  }
  hub_->Shutdown(testing::kPatience);
  for (Inbox& inbox : inboxes) {
    const Status status = MustPop(&inbox.gone);
    EXPECT_EQ(status.code(), Code::kUnavailable);
    EXPECT_NE(status.message().find("shutting down"), std::string::npos) << status.message();
    EXPECT_EQ(TermOf(MustPop(&inbox.messages)), 9u) << "queued before the shutdown";
    EXPECT_EQ(MustPop(&hub_inbox_.gone).status.code(), Code::kUnavailable);
  }
  Inbox late;
  EXPECT_EQ(TryConnect(GetParam(), hub_.get(), &late).status().code(), Code::kUnavailable);
}

TEST_P(SessionTest, WaitsForDevicesToLeaveByThemselves) {
  StartHub();
  EXPECT_TRUE(hub_->AwaitDepartures(Duration(0))) << "nobody has come";
  Inbox inbox, other_inbox;
  const auto connection = Connect(&inbox), other = Connect(&other_inbox);
  connection->Close(testing::kPatience);
  EXPECT_FALSE(hub_->AwaitDepartures(Duration(0))) << "one is still there";
  other->Close(testing::kPatience);
  EXPECT_TRUE(hub_->AwaitDepartures(testing::kPatience));
}

TEST_P(SessionTest, ShutdownDoesNotWaitForEverForADeviceThatStoppedReading) {
  StartHub();
  base::BoundedQueue<bool> go(1);
  Inbox inbox;
  inbox.on_message = [&](const Envelope&) { go.Pop(); };
  const auto connection = Connect(&inbox);
  ASSERT_EQ(connection->Send(Control(1)), OkStatus());
  const uint64_t number = MustPop(&hub_inbox_.messages).connection;
  ASSERT_EQ(hub_->Send(number, Control(1)), OkStatus());
  ASSERT_EQ(hub_->Send(number, Bulk(testing::PatternPayload(32 << 20))), OkStatus());
  hub_->Shutdown(std::chrono::milliseconds(1));
  EXPECT_EQ(MustPop(&hub_inbox_.gone).status.code(), Code::kUnavailable);
  go.Push(true);
  EXPECT_FALSE(MustPop(&inbox.gone).ok());
}

TEST_P(SessionTest, AHubThatIsDestroyedTakesItsConnectionsAlong) {
  StartHub();
  Inbox inbox;
  const auto connection = Connect(&inbox);
  hub_.reset();
  EXPECT_EQ(MustPop(&inbox.gone).code(), Code::kUnavailable);
  EXPECT_EQ(connection->Send(Control(1)).code(), Code::kUnavailable);
}

TEST_P(SessionTest, APayloadAboveTheLimitEndsTheConnectionOnly) {
  StartHub({.session = {.max_payload_bytes = 1 << 20}});
  Inbox inbox;
  const auto connection = Connect(&inbox);
  ASSERT_EQ(connection->Send(Bulk(testing::PatternPayload((1 << 20) + 1))), OkStatus());
  const Status status = MustPop(&inbox.gone);
  EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.ToString();
  EXPECT_NE(status.message().find("want at most 1048576"), std::string::npos) << status.message();
  EXPECT_EQ(MustPop(&hub_inbox_.gone).status.code(), Code::kResourceExhausted);

  Inbox other;
  const auto next = Connect(&other);
  ASSERT_EQ(next->Send(Bulk(testing::PatternPayload(1 << 20))), OkStatus());
  EXPECT_EQ(MustPop(&hub_inbox_.messages).connection, 2u);
}

TEST_P(SessionTest, AHubTakesOnlySoManyConnections) {
  StartHub({.max_connections = 2});
  Inbox inboxes[3];
  auto first = Connect(&inboxes[0]);
  const auto second = Connect(&inboxes[1]);
  const Status status = TryConnect(GetParam(), hub_.get(), &inboxes[2]).status();
  EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.ToString();
  first->Close(testing::kPatience);
  MustPop(&hub_inbox_.gone);
  EXPECT_EQ(second->Send(Control(1)), OkStatus());
}

TEST_P(SessionTest, ADeviceHearsHowLongPayloadsTake) {
  StartEcho();
  Inbox inbox;
  const auto connection = Connect(&inbox);
  ASSERT_EQ(connection->Send(Control(1)), OkStatus());
  ASSERT_EQ(connection->Send(Bulk(testing::PatternPayload(1 << 20))), OkStatus());
  // The clock starts with the first chunk that ends behind two fifths: the seventh of sixteen. The
  // echo may be here before the last chunk's write is known to be done.
  int64_t up = 0;
  int64_t down = 0;
  for (int i = 0; i < 2; ++i) {
    const Transfer transfer = MustPop(&inbox.transfers);
    (transfer.up ? up : down) += transfer.bytes;
    EXPECT_GE(transfer.seconds, 0);
    EXPECT_LT(transfer.seconds, base::Seconds(testing::kPatience));
  }
  EXPECT_EQ(up, 9 * (64 << 10));
  EXPECT_EQ(down, 9 * (64 << 10));
}

TEST_P(SessionTest, SayingMoreThanTheDeviceTakesIsReportedNotWaitedFor) {
  StartHub({.session = {.max_queued_bulk_bytes = 8 << 20}});
  base::BoundedQueue<bool> go(1);
  Inbox inbox;
  inbox.on_message = [&](const Envelope& envelope) {
    if (std::holds_alternative<cluster::Heartbeat>(envelope.message)) go.Pop();
  };
  const auto connection = Connect(&inbox);
  ASSERT_EQ(connection->Send(Control(1)), OkStatus());
  const uint64_t number = MustPop(&hub_inbox_.messages).connection;
  ASSERT_EQ(hub_->Send(number, Control(1)), OkStatus());
  const cluster::Payload payload = testing::PatternPayload(3 << 20);
  size_t accepted = 0;
  Status status;
  while (accepted < 100 && (status = hub_->Send(number, Bulk(payload))).ok()) ++accepted;
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_GE(accepted, 2u);
  EXPECT_LT(accepted, 20u) << "what gRPC and the sockets hold is bounded too";
  EXPECT_EQ(hub_->Send(number, Control(2)), OkStatus())
      << "small messages have a limit of their own";
  go.Push(true);
  go.Push(true);
  for (size_t i = 0; i < accepted + 2; ++i) MustPop(&inbox.messages);
}

INSTANTIATE_TEST_SUITE_P(, SessionTest, ::testing::Values(Wire::kInProcess, Wire::kTcp),
                         [](const auto& instance) {
                           return instance.param == Wire::kTcp ? "Tcp" : "InProcess";
                         });

}  // namespace
}  // namespace weft::net
