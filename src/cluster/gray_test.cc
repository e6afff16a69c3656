// Gray failures: ways that are cut in one direction, messages that vanish, devices that beat their
// heart and do nothing. Coordinator, leader and workers, with a wire that does what a test says.

#include <gtest/gtest.h>

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>

#include "cluster/coordinator.h"
#include "cluster/leader.h"
#include "cluster/testing.h"
#include "cluster/worker.h"

namespace weft::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Address kLeader = {kCoordinatorDevice, Role::kLeader};
constexpr Duration kTick = milliseconds(50);  // and the latency of the wire

JobSpec Spec() {
  JobSpec spec;
  spec.run = "run";
  spec.samples = 8;
  spec.batch = 8;
  spec.epochs = 40;  // of one step
  spec.deterministic = true;
  spec.slots = 4;
  spec.trainable_count = 1;
  spec.heartbeat_ms = 200;
  spec.device_timeout_ms = 1000;
  return spec;
}

// One worker, its connection and its math.
struct Peer {
  explicit Peer(const WorkerOptions& options) : worker(options) {}
  Worker worker;
  ConnectionId connection = 0;  // as the worker sees it; 0: none
  Duration compute_time = kTick;
  bool hangs = false;  // never finishes what it computes
  std::optional<TimePoint> finishes;
};

class GrayRun {
 public:
  // Whether a message is lost. `device` is the number of the peer, from 1.
  using Loses = std::function<bool(int device, bool to_device, const Message& message)>;

  explicit GrayRun(const JobSpec& spec = Spec())
      : spec_(spec),
        coordinator_(spec, store_.get(), 0),
        leader_(Leader::Make(spec, {0, 0, {1}, {}}).value()) {
    auto packet = std::make_shared<Bytes>();
    EXPECT_TRUE(
        codec::MakeCodec("dense").value()->Encode(std::vector<float>{1}, {}, &*packet).ok());
    gradient_ = std::move(packet);
    Hub(Coordinator::kAddress, coordinator_.Start(now_));
  }

  Peer& Add() {
    WorkerOptions options;
    options.incarnation = peers_.size() + 1;
    options.jitter_seed = options.incarnation;
    peers_.push_back(std::make_unique<Peer>(options));
    Do(*peers_.back(), peers_.back()->worker.Start(now_));
    return *peers_.back();
  }

  // False if the run is not over by then.
  bool Until(Duration limit) {
    const TimePoint end = TimePoint{} + limit;
    while (!coordinator_.done() && now_ < end) Tick();
    return coordinator_.done();
  }

  Loses loses = [](int, bool, const Message&) { return false; };
  int copies = 1;  // of each message that arrive

  TimePoint now() const { return now_; }
  const Coordinator& coordinator() const { return coordinator_; }
  template <class Kind>
  size_t Count() const {
    return testing::Emitted<Kind>(events_).size();
  }
  size_t computed() const { return computed_; }
  // Updates that workers wait to hear of.
  size_t unacknowledged() const {
    size_t sum = 0;
    for (const auto& peer : peers_) sum += peer->worker.unacknowledged();
    return sum;
  }

 private:
  void Tick() {
    now_ = now_ + kTick;
    for (const auto& deliver : std::exchange(wire_, {})) deliver();
    if (const auto wake = coordinator_.NextWake(); wake && *wake <= now_) {
      Hub(Coordinator::kAddress, coordinator_.Tick(now_));
    }
    for (auto& peer : peers_) Step(*peer);
  }

  void Step(Peer& peer) {
    if (const auto wake = peer.worker.NextWake(); wake && *wake <= now_) {
      Do(peer, peer.worker.Tick(now_));
    }
    if (!peer.finishes || now_ < *peer.finishes || peer.hangs) return;
    peer.finishes.reset();
    ++computed_;
    Do(peer, peer.worker.OnComputed(now_, {1, 0, {{{0, 1}, gradient_}}, 1}));
  }

  int NumberOf(const Peer& peer) const {
    int number = 1;
    while (peers_[static_cast<size_t>(number - 1)].get() != &peer) ++number;
    return number;
  }

  // ---- a worker's actions

  void Do(Peer& peer, const Actions& actions) {
    for (const Action& action : actions) {
      if (const auto* send = std::get_if<Send>(&action)) Up(peer, *send);
      if (std::holds_alternative<Connect>(action)) Dial(peer);
      if (std::holds_alternative<Disconnect>(action)) peer.connection = 0;  // nobody is told
      if (std::holds_alternative<Compute>(action)) peer.finishes = now_ + peer.compute_time;
    }
  }

  // Works only if both ways do.
  void Dial(Peer& peer) {
    const int number = NumberOf(peer);
    if (loses(number, true, Bye{}) || loses(number, false, Bye{})) return;
    peer.connection = ++connections_;
    wire_.push_back([this, &peer, connection = peer.connection] {
      if (peer.connection == connection) Do(peer, peer.worker.OnConnected(now_));
    });
  }

  void Up(Peer& peer, const Send& send) {
    if (peer.connection == 0 || loses(NumberOf(peer), false, send.message)) return;
    for (int i = 0; i < copies; ++i) {
      wire_.push_back([this, &peer, send, connection = peer.connection] {
        const auto device = devices_.find(connection);
        if (device != devices_.end()) {
          Deliver({device->second, Role::kWorker}, send.to, send.message);
        } else if (const auto* hello = std::get_if<Hello>(&send.message)) {
          lines_[connection] = &peer;
          Hub(Coordinator::kAddress, coordinator_.OnHello(now_, connection, *hello));
        }
      });
    }
  }

  // ---- the hub's

  void Deliver(Address from, Address to, const Message& message) {
    if (to == Coordinator::kAddress) Hub(to, coordinator_.Handle(now_, from, message));
    if (to == kLeader) Hub(to, leader_->Handle(now_, from, message));
  }

  void Hub(Address from, const Actions& actions) {
    events_.insert(events_.end(), actions.begin(), actions.end());
    for (const Action& action : actions) {
      if (const auto* admit = std::get_if<Admit>(&action)) {
        devices_[admit->connection] = admit->device;
        connection_of_[admit->device] = admit->connection;
      } else if (const auto* close = std::get_if<CloseConnection>(&action)) {
        devices_.erase(close->connection);  // nobody is told
      } else if (const auto* save = std::get_if<SaveCheckpoint>(&action)) {
        wire_.push_back([this, step = save->snapshot->step] {
          Hub(kLeader, leader_->OnCheckpointDone(now_, step, "disk", OkStatus()));
        });
      } else if (const auto* send = std::get_if<Send>(&action)) {
        Route(from, *send);
      }
    }
  }

  void Route(Address from, const Send& send) {
    if (send.to.device == kCoordinatorDevice) {
      wire_.push_back([this, from, send] { Deliver(from, send.to, send.message); });
      return;
    }
    const ConnectionId connection = connection_of_[send.to.device];
    Peer& peer = *lines_.at(connection);
    if (loses(NumberOf(peer), true, send.message)) return;
    for (int i = 0; i < copies; ++i) {
      wire_.push_back([this, from, send, connection, &peer] {
        if (peer.connection == connection) Do(peer, peer.worker.Handle(now_, from, send.message));
      });
    }
  }

  JobSpec spec_;
  TimePoint now_{};
  std::unique_ptr<CoordStore> store_ = MakeMemoryStore();
  Coordinator coordinator_;
  std::unique_ptr<Leader> leader_;
  Payload gradient_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::list<std::function<void()>> wire_;  // arrives at the next tick, in order
  ConnectionId connections_ = 0;
  std::map<ConnectionId, Peer*> lines_;
  std::map<ConnectionId, DeviceId> devices_;
  std::map<DeviceId, ConnectionId> connection_of_;
  Actions events_;
  size_t computed_ = 0;
};

void ExpectExactlyOnce(const GrayRun& run) {
  EXPECT_EQ(run.Count<StepDone>(), 40u);
  EXPECT_EQ(run.coordinator().ledger().lost_samples(), 0);
  EXPECT_EQ(run.coordinator().ledger().duplicated_samples(), 0);
}

TEST(Gray, WithoutFailuresNothingIsDealtAnew) {
  GrayRun run;
  for (int i = 0; i < 4; ++i) run.Add();
  ASSERT_TRUE(run.Until(seconds(60)));
  ExpectExactlyOnce(run);
  EXPECT_EQ(run.Count<LeaseRedealt>(), 0u);
  EXPECT_EQ(run.computed(), 160u);
}

TEST(Gray, EveryMessageTwiceChangesNothing) {
  GrayRun run;
  run.copies = 2;
  for (int i = 0; i < 4; ++i) run.Add();
  ASSERT_TRUE(run.Until(seconds(60)));
  ExpectExactlyOnce(run);
  EXPECT_EQ(run.Count<Warning>(), 0u);
  EXPECT_EQ(run.Count<DeviceJoined>(), 4u);
  EXPECT_EQ(run.computed(), 160u) << "nothing is computed twice";
}

// The device's heartbeats still come.
TEST(Gray, AWayThatIsCutTowardsTheDeviceDoesNotStallTheRun) {
  GrayRun run;
  run.Add();
  run.Add();
  run.loses = [&](int device, bool to_device, const Message&) {
    return device == 1 && to_device && run.now() > TimePoint{} + seconds(1);
  };
  ASSERT_TRUE(run.Until(seconds(60)));
  ExpectExactlyOnce(run);
  EXPECT_EQ(run.Count<DeviceLeft>(), 1u);
}

TEST(Gray, AWayThatIsCutTowardsTheHubDoesNotStallTheRun) {
  GrayRun run;
  run.Add();
  run.Add();
  run.loses = [&](int device, bool to_device, const Message&) {
    return device == 1 && !to_device && run.now() > TimePoint{} + seconds(1);
  };
  ASSERT_TRUE(run.Until(seconds(60)));
  ExpectExactlyOnce(run);
}

TEST(Gray, ADeviceComesBackOnceItsWayIsWhole) {
  GrayRun run;
  run.Add();
  run.loses = [&](int, bool to_device, const Message&) {
    return to_device && run.now() > TimePoint{} + seconds(1) &&
           run.now() < TimePoint{} + seconds(20);
  };
  ASSERT_TRUE(run.Until(seconds(120)));
  ExpectExactlyOnce(run);
  EXPECT_GE(run.Count<DeviceJoined>(), 2u);
}

// One kind of message of the first device vanishes, now and then, while all else arrives.
class LostMessage : public ::testing::TestWithParam<const char*> {};

TEST_P(LostMessage, IsMadeUpFor) {
  for (const int devices : {1, 3}) {
    GrayRun run;
    for (int i = 0; i < devices; ++i) run.Add();
    int lost = 0;
    run.loses = [&](int device, bool, const Message& message) {
      return device == 1 && MessageName(message) == GetParam() && lost++ % 5 == 4;
    };
    ASSERT_TRUE(run.Until(seconds(3600)));
    ExpectExactlyOnce(run);
    EXPECT_GE(lost, 5);
    EXPECT_LE(run.unacknowledged(), 8u) << "of the last steps";
  }
}

INSTANTIATE_TEST_SUITE_P(OfKind, LostMessage,
                         ::testing::Values("Grant", "Push", "Pull", "Parameters", "PushAck",
                                           "Heartbeat", "HeartbeatAck"),
                         [](const auto& kind) { return std::string(kind.param); });

TEST(Gray, ADeviceThatHangsCostsLittle) {
  GrayRun run;
  run.Add().hangs = true;
  for (int i = 0; i < 4; ++i) run.Add();
  ASSERT_TRUE(run.Until(seconds(60)));
  ExpectExactlyOnce(run);
  EXPECT_GE(run.Count<LeaseRedealt>(), 1u) << "it never had one";
  EXPECT_LE(run.Count<LeaseRedealt>(), 10u);
}

TEST(Gray, ASlowDeviceKeepsItsLeases) {
  JobSpec spec = Spec();
  spec.start_workers = 4;
  GrayRun run(spec);
  run.Add().compute_time = seconds(4);  // four times the device timeout
  for (int i = 0; i < 3; ++i) run.Add();
  ASSERT_TRUE(run.Until(seconds(600)));
  ExpectExactlyOnce(run);
  EXPECT_EQ(run.Count<LeaseRedealt>(), 0u);
  EXPECT_EQ(run.computed(), 160u);
}

}  // namespace
}  // namespace weft::cluster
