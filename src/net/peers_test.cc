// Devices on sockets of this machine: cluster/peer_lines.h over net/peers.h, before a coordinator's
// process that only passes on.

#include "net/peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "base/event_loop.h"
#include "net/testing_session.h"

namespace weft::net {
namespace {

using cluster::Address;
using cluster::DeviceId;
using cluster::Envelope;
using cluster::PeerLine;
using cluster::PeerLines;
using cluster::Role;
using testing::kPatience;
using testing::MustPop;
using testing::PatternPayload;

class Device;

// Where devices send what they cannot send each other: hands it to whoever it is for.
struct Switch {
  std::mutex mutex;
  std::map<DeviceId, Device*> devices;
};

// A device as app/worker_host.h has one, without worker and leader: what is for them is kept.
class Device : public PeersHandler {
 public:
  struct Heard {
    Envelope envelope;
    bool relayed = false;
  };

  Device(DeviceId id, Switch* others, const std::string& token = "secret")
      : id_(id), others_(others) {
    Result<std::unique_ptr<Peers>> peers = Peers::Start({.listen = "127.0.0.1:0"}, this);
    CHECK(peers.ok()) << peers.status().ToString();
    peers_ = std::move(peers).value();
    endpoint_ = "127.0.0.1:" + std::to_string(peers_->port());
    lines_ = std::make_unique<PeerLines>(
        cluster::PeerOptions{.token = token, .incarnation = id, .endpoint = endpoint_});
    {
      const std::lock_guard lock(others_->mutex);
      others_->devices[id] = this;
    }
    thread_ = std::make_unique<base::WorkerThread>();
    thread_->Post([this] {
      loop_.Run([this] { return lines_->NextWake(); },
                [this](TimePoint now) { Do(lines_->Tick(now)); });
    });
  }
  ~Device() override {
    {
      const std::lock_guard lock(others_->mutex);
      others_->devices.erase(id_);
    }
    loop_.Stop();
    thread_.reset();
  }

  const std::string& endpoint() const { return endpoint_; }
  // Says to it where the other leads.
  void Admit(DeviceId leader, const std::string& endpoint) {
    loop_.Post([this, leader, endpoint] {
      cluster::Layout layout;
      layout.parts = {{.range = {0, 8}, .leader = {leader, Role::kLeader}, .endpoint = endpoint}};
      Do(lines_->Note(cluster::Welcome{.device = id_, .term = 1, .run = "run", .layout = layout}));
    });
  }
  void Send(Role from, Address to, cluster::Message message) {
    loop_.Post([this, from, to, message = std::move(message)] {
      Do(lines_->Send(Now(), {id_, from}, {to, message}));
    });
  }

  base::BoundedQueue<Heard> heard{1024};
  base::BoundedQueue<DeviceId> lost{1024};
  base::BoundedQueue<std::string> warnings{1024};

 private:
  static TimePoint Now() { return base::SystemClock().Now(); }

  void OnOpen(uint64_t number) override {
    loop_.Post([this, number] { Do(lines_->OnOpen(Now(), number)); });
  }
  void OnMessage(PeerLine line, Envelope envelope) override {
    loop_.Post([this, line, envelope = std::move(envelope)] {
      Do(lines_->OnMessage(Now(), line, envelope));
    });
  }
  void OnClosed(PeerLine line, Status status) override {
    loop_.Post([this, line, status = std::move(status)] {
      Do(lines_->OnClosed(Now(), line, status.message()));
    });
  }

  void Do(const PeerLines::Actions& actions) {
    for (const auto& action : actions) {
      std::visit([this](const auto& each) { Do(each); }, action);
    }
  }
  void Do(const PeerLines::Dial& dial) { peers_->Dial(dial.number, dial.endpoint); }
  void Do(const PeerLines::Write& write) { (void)peers_->Send(write.line, write.envelope); }
  void Do(const PeerLines::Close& close) { peers_->Close(close.line); }
  void Do(const PeerLines::Relay& relay) {
    const std::lock_guard lock(others_->mutex);
    const auto to = others_->devices.find(relay.envelope.to.device);
    if (to != others_->devices.end()) to->second->heard.Push({relay.envelope, true});
  }
  void Do(const PeerLines::Deliver& deliver) { heard.Push({deliver.envelope, false}); }
  void Do(const PeerLines::Lost& gone) { lost.Push(gone.device); }
  void Do(const cluster::Emit& emit) { warnings.Push(std::get<cluster::Warning>(emit.event).text); }

  const DeviceId id_;
  Switch* const others_;
  std::string endpoint_;
  base::EventLoop loop_;
  std::unique_ptr<PeerLines> lines_;
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<base::WorkerThread> thread_;  // runs the loop
};

cluster::Push PushOf(uint64_t sequence, size_t bytes = 1000) {
  return {.term = 1, .sequence = sequence, .gradient = PatternPayload(bytes), .range = {0, 8}};
}
uint64_t SequenceOf(const Device::Heard& heard) {
  return std::get<cluster::Push>(heard.envelope.message).sequence;
}

constexpr Address kLeader = {2, Role::kLeader};

TEST(Peers, AWorkerAndALeaderOnAnotherDeviceSpeakDirectly) {
  Switch others;
  Device first(1, &others), second(2, &others);
  first.Admit(2, second.endpoint());
  second.Admit(2, second.endpoint());
  for (uint64_t i = 1; i <= 3; ++i) first.Send(Role::kWorker, kLeader, PushOf(i, 3'000'000));
  for (uint64_t i = 1; i <= 3; ++i) {
    const Device::Heard heard = MustPop(&second.heard);
    EXPECT_FALSE(heard.relayed);
    EXPECT_EQ(heard.envelope.from, (Address{1, Role::kWorker}));
    EXPECT_EQ(SequenceOf(heard), i);
    EXPECT_EQ(*std::get<cluster::Push>(heard.envelope.message).gradient,
              *PatternPayload(3'000'000));
  }
  // The answer comes back over the same line: nobody has said where the first listens.
  second.Send(Role::kLeader, {1, Role::kWorker}, cluster::PushAck{.term = 1, .sequence = 3});
  const Device::Heard ack = MustPop(&first.heard);
  EXPECT_FALSE(ack.relayed);
  EXPECT_EQ(ack.envelope.from, kLeader);
}

TEST(Peers, BothMayDialAtOnce) {
  Switch others;
  Device first(1, &others), second(2, &others);
  first.Admit(2, second.endpoint());
  second.Admit(1, first.endpoint());
  for (uint64_t i = 1; i <= 20; ++i) {
    first.Send(Role::kWorker, kLeader, PushOf(i));
    second.Send(Role::kWorker, {1, Role::kLeader}, PushOf(100 + i));
  }
  std::vector<uint64_t> got;
  for (int i = 0; i < 20; ++i) {
    got.push_back(SequenceOf(MustPop(&second.heard)));
    got.push_back(SequenceOf(MustPop(&first.heard)));
  }
  std::ranges::sort(got);
  for (uint64_t i = 1; i <= 20; ++i) {
    EXPECT_EQ(got[i - 1], i);
    EXPECT_EQ(got[19 + i], 100 + i);
  }
}

TEST(Peers, AWrongTokenIsRefusedAndWhatWaitedIsRelayed) {
  Switch others;
  Device first(1, &others, "guess"), second(2, &others);
  first.Admit(2, second.endpoint());
  second.Admit(2, second.endpoint());
  first.Send(Role::kWorker, kLeader, PushOf(1));
  EXPECT_THAT(MustPop(&first.warnings), ::testing::HasSubstr("wrong token"));
  EXPECT_TRUE(MustPop(&second.heard).relayed);
}

TEST(Peers, AnotherProcessAtTheSamePlaceIsNotTakenForThePeer) {
  Switch others;
  Device first(1, &others), third(3, &others);
  first.Admit(2, third.endpoint());
  third.Admit(2, "");
  first.Send(Role::kWorker, kLeader, PushOf(1));
  EXPECT_THAT(MustPop(&first.warnings), ::testing::HasSubstr("this is device 3"));
  EXPECT_FALSE(third.heard.PopFor(Duration(0)).has_value());
}

TEST(Peers, WhenAPeerIsKilledItIsToldAndTheRestIsRelayed) {
  Switch others;
  Device first(1, &others);
  auto second = std::make_unique<Device>(2, &others);
  const std::string endpoint = second->endpoint();
  first.Admit(2, endpoint);
  second->Admit(2, endpoint);
  first.Send(Role::kWorker, kLeader, PushOf(1));
  EXPECT_FALSE(MustPop(&second->heard).relayed);
  second.reset();
  EXPECT_EQ(MustPop(&first.lost), 2u);
  // In its place, but reached by the coordinator's process only.
  Device standby(2, &others);
  first.Send(Role::kWorker, kLeader, PushOf(2));
  const Device::Heard heard = MustPop(&standby.heard);
  EXPECT_TRUE(heard.relayed);
  EXPECT_EQ(SequenceOf(heard), 2u);
}

TEST(Peers, WhereNobodyListensNothingIsLost) {
  Switch others;
  Device first(1, &others), second(2, &others);
  std::string nowhere;
  {
    Device gone(9, &others);
    nowhere = gone.endpoint();
  }
  first.Admit(2, nowhere);
  for (uint64_t i = 1; i <= 5; ++i) first.Send(Role::kWorker, kLeader, PushOf(i));
  for (uint64_t i = 1; i <= 5; ++i) EXPECT_EQ(SequenceOf(MustPop(&second.heard)), i);
  EXPECT_THAT(MustPop(&first.warnings), ::testing::HasSubstr("cannot reach device 2"));
}

TEST(Peers, ListeningWhereSomebodyListensIsAnError) {
  Switch others;
  Device first(1, &others);
  struct Deaf : PeersHandler {
    void OnOpen(uint64_t) override {}
    void OnMessage(PeerLine, Envelope) override {}
    void OnClosed(PeerLine, Status) override {}
  } deaf;
  EXPECT_EQ(Peers::Start({.listen = first.endpoint()}, &deaf).status().code(),
            Code::kAlreadyExists);
}

}  // namespace
}  // namespace weft::net
