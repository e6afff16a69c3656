// What only happens between machines: ports in use, nobody there, the wrong one there, lost
// connections, bad bytes.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "net/client.h"
#include "net/server.h"
#include "net/testing_relay.h"
#include "net/testing_session.h"
#include "net/transport.h"
#include "proto/weft.grpc.pb.h"

namespace weft::net {
namespace {

using testing::Bulk;
using testing::Control;
using testing::HubInbox;
using testing::Inbox;
using testing::MustPop;
using testing::TermOf;
using testing::Wire;

void ExpectError(const Status& status, Code code, const std::vector<std::string>& in_message) {
  EXPECT_EQ(status.code(), code) << status.ToString();
  for (const std::string& text : in_message) {
    EXPECT_NE(status.message().find(text), std::string::npos) << status.message();
  }
}

TEST(SessionTcp, APortInUseIsRefusedWithItsAddress) {
  HubInbox inbox;
  const auto hub = testing::StartHub(Wire::kTcp, &inbox);
  const std::string address = "127.0.0.1:" + std::to_string(hub->port());
  ExpectError(Hub::Start({.listen = address}, &inbox).status(), Code::kAlreadyExists,
              {address, "another program", "choose another (0"});
  ExpectError(Hub::Start({.listen = "192.0.2.1:7070"}, &inbox).status(), Code::kInvalidArgument,
              {"192.0.2.1:7070", "not an address of this machine"});
  ExpectError(Hub::Start({.listen = "7070"}, &inbox).status(), Code::kInvalidArgument,
              {"listen: got \"7070\"", "want HOST:PORT"});
}

TEST(SessionTcp, NobodyThere) {
  const testing::Listener closed(/*listening=*/false);
  const std::string address = closed.address();
  Inbox inbox;
  for (int attempt = 0; attempt < 20; ++attempt) {  // cheap to repeat
    ExpectError(
        Connection::Dial(address, {}, &inbox).status(), Code::kUnavailable,
        {"cannot reach " + address + ": Connection refused", "is `weft up` running there?"});
  }
  EXPECT_FALSE(inbox.gone.PopFor(Duration::zero()).has_value());
  ExpectError(Connection::Dial("nowhere", {}, &inbox).status(), Code::kInvalidArgument,
              {"got \"nowhere\"", "want HOST:PORT"});
}

TEST(SessionTcp, SomebodyThereWhoSaysNothing) {
  const testing::Listener listener;
  Inbox inbox;
  const ConnectOptions options{.connect_timeout = std::chrono::milliseconds(50)};
  ExpectError(Connection::Dial(listener.address(), options, &inbox).status(), Code::kUnavailable,
              {"cannot reach " + listener.address(), "no answer within"});
  EXPECT_FALSE(inbox.gone.PopFor(Duration::zero()).has_value());
}

TEST(SessionTcp, AServerOfSomethingElse) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", ServerSideCredentials(), &port);
  grpc::CallbackGenericService other;  // knows no method
  builder.RegisterCallbackGenericService(&other);
  const auto server = builder.BuildAndStart();
  const std::string address = "127.0.0.1:" + std::to_string(port);
  Inbox inbox;
  ExpectError(Connection::Dial(address, {}, &inbox).status(), Code::kFailedPrecondition,
              {address, "not weft.v1"});
}

TEST(SessionTcp, ADialAfterAFailureSucceedsAtOnce) {
  const testing::Listener closed(/*listening=*/false);
  const std::string address = closed.address();
  Inbox inbox;
  ASSERT_FALSE(Connection::Dial(address, {}, &inbox).ok());
  HubInbox hub_inbox;
  const auto hub = Hub::Start({.listen = address}, &hub_inbox);
  ASSERT_TRUE(hub.ok()) << hub.status().ToString();
  const auto connection = Connection::Dial(address, {}, &inbox);
  EXPECT_TRUE(connection.ok()) << connection.status().ToString();
}

TEST(SessionTcp, SpeaksIpv6) {
  HubInbox hub_inbox;
  const auto hub = Hub::Start({.listen = "[::1]:0"}, &hub_inbox);
  if (!hub.ok()) GTEST_SKIP() << "this machine has no IPv6: " << hub.status().ToString();
  Inbox inbox;
  const auto connection = Connection::Dial("[::1]:" + std::to_string((*hub)->port()), {}, &inbox);
  ASSERT_TRUE(connection.ok()) << connection.status().ToString();
  ASSERT_EQ((*connection)->Send(Control(1)), OkStatus());
  EXPECT_EQ(TermOf(MustPop(&hub_inbox.messages).envelope), 1u);
}

TEST(SessionTcp, BothSidesNoticeAConnectionThatIsReset) {
  HubInbox hub_inbox;
  const auto hub = testing::StartHub(Wire::kTcp, &hub_inbox);
  testing::Relay relay(hub->port());
  Inbox inbox;
  const auto connection = Connection::Dial(relay.address(), {}, &inbox);
  ASSERT_TRUE(connection.ok()) << connection.status().ToString();
  ASSERT_EQ((*connection)->Send(Control(1)), OkStatus());
  const uint64_t number = MustPop(&hub_inbox.messages).connection;
  ASSERT_EQ(hub->Send(number, Control(2)), OkStatus());
  EXPECT_EQ(TermOf(MustPop(&inbox.messages)), 2u);
  relay.Cut();
  EXPECT_EQ(MustPop(&inbox.gone).code(), Code::kUnavailable);
  EXPECT_EQ(MustPop(&hub_inbox.gone).status.code(), Code::kUnavailable);
}

TEST(SessionTcp, AConnectionMayBeLostInTheMiddleOfAPayload) {
  HubInbox hub_inbox;
  const auto hub = testing::StartHub(Wire::kTcp, &hub_inbox);
  testing::Relay relay(hub->port());
  base::BoundedQueue<bool> reading(1);
  base::BoundedQueue<bool> go(1);
  hub_inbox.on_message = [&](uint64_t, const cluster::Envelope&) {
    reading.Push(true);
    go.Pop();
  };
  Inbox inbox;
  const auto connection = Connection::Dial(relay.address(), {}, &inbox);
  ASSERT_TRUE(connection.ok()) << connection.status().ToString();
  const cluster::Payload payload = testing::PatternPayload(64 << 20);
  ASSERT_EQ((*connection)->Send(Control(1)), OkStatus());
  MustPop(&reading);
  ASSERT_EQ((*connection)->Send(Bulk(payload)), OkStatus());
  relay.Cut();
  EXPECT_EQ(MustPop(&inbox.gone).code(), Code::kUnavailable);
  go.Push(true);
  EXPECT_EQ(MustPop(&hub_inbox.gone).status.code(), Code::kUnavailable);
  EXPECT_EQ(payload.use_count(), 1) << "nothing keeps what can no longer be sent";
}

// A peer of our own making that writes `frames` and reads until the hub ends the call.
Status SendRaw(int port, const std::vector<v1::Frame>& frames) {
  const auto channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port),
                                                 ClientSideCredentials(), ClientArguments());
  const auto stub = v1::Weft::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->Session(&context);
  for (const v1::Frame& frame : frames) {
    if (!stream->Write(frame)) break;
  }
  v1::Frame answer;
  while (stream->Read(&answer)) {
  }
  return FromGrpc(stream->Finish());
}

TEST(SessionTcp, BadFramesGetAnErrorAndHarmNobodyElse) {
  HubInbox hub_inbox;
  const auto hub = testing::StartHub(Wire::kTcp, &hub_inbox);
  Inbox inbox;
  const auto good = testing::Connect(Wire::kTcp, hub.get(), &inbox);

  v1::Frame headless;
  headless.set_message(1);
  ExpectError(SendRaw(hub->port(), {headless}), Code::kInvalidArgument, {"no head"});

  v1::Frame greedy;
  greedy.set_message(1);
  greedy.mutable_head()->mutable_from()->set_role(v1::ROLE_WORKER);
  greedy.mutable_head()->mutable_to()->set_role(v1::ROLE_LEADER);
  greedy.mutable_head()->mutable_push();
  greedy.set_payload_bytes(~0ull);
  ExpectError(SendRaw(hub->port(), {greedy}), Code::kResourceExhausted, {"payload_bytes"});

  v1::Frame huge = greedy;
  huge.set_payload_bytes(2 * kMaxFrameBytes);
  huge.set_data(std::string(kMaxFrameBytes, 'x'));
  ExpectError(SendRaw(hub->port(), {huge}), Code::kResourceExhausted, {"larger than max"});

  for (int i = 0; i < 3; ++i) EXPECT_FALSE(MustPop(&hub_inbox.gone).status.ok());
  ASSERT_EQ(good->Send(Control(7)), OkStatus());
  EXPECT_EQ(TermOf(MustPop(&hub_inbox.messages).envelope), 7u);
}

}  // namespace
}  // namespace weft::net
