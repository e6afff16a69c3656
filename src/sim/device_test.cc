// Devices that lead, before a hub that is played by the test.

#include "sim/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/testing_network.h"
#include "sim/toy.h"

namespace weft::sim {
namespace {

using cluster::Address;
using cluster::ConnectionId;
using cluster::DeviceId;
using cluster::Envelope;
using cluster::Role;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AtLeast;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Admits whoever comes, passes on what devices say to each other, and keeps all that it hears.
struct PlayedHub : Endpoint {
  explicit PlayedHub(Network* its_network) : network(its_network) { network->Listen(this); }
  void OnConnected(ConnectionId) override {}
  void OnDisconnected(ConnectionId connection, const std::string&) override {
    std::erase_if(lines, [&](const auto& line) { return line.second == connection; });
  }
  void OnMessage(ConnectionId connection, const Envelope& envelope) override {
    heard.push_back(envelope);
    if (std::holds_alternative<cluster::Hello>(envelope.message)) {
      const auto device = static_cast<DeviceId>(lines.size() + 1);
      lines[device] = connection;
      SendTo({device, Role::kWorker},
             cluster::Welcome{
                 .device = device, .term = 1, .run = "toy", .layout = layout, .heartbeat_ms = 100});
    } else if (envelope.to.device != 0 && passes_on) {
      network->Send(this, lines[envelope.to.device], envelope);
    }
  }
  void SendTo(Address to, cluster::Message message) {
    network->Send(this, lines[to.device], {{0, Role::kCoordinator}, to, std::move(message)});
  }
  template <class Kind>
  std::vector<Envelope> Heard() const {
    std::vector<Envelope> found;
    for (const Envelope& each : heard) {
      if (std::holds_alternative<Kind>(each.message)) found.push_back(each);
    }
    return found;
  }

  Network* network;
  cluster::Layout layout;
  bool passes_on = true;
  std::map<DeviceId, ConnectionId> lines;
  std::vector<Envelope> heard;
};

// Device 2, "second", leads all of the toy; "first" and "second" compute.
class DeviceTest : public ::testing::Test {
 protected:
  explicit DeviceTest(const WireOptions& wire = {})
      : network_(&loop_, {.wire = wire, .silent_break = 0.5}), hub_(&network_) {
    spec_.token = "secret";
    spec_.leaders = 0;
    workload_ = MakeToyWorkload(spec_);
    hub_.layout = {
        .number = 1,
        .parts = {
            {.range = {0, spec_.parameter_count()}, .leader = kLeader, .endpoint = "second"}}};
  }
  static constexpr Address kLeader = {2, Role::kLeader};

  struct Box {
    DeviceOptions options;
    HostId host = 0;
    std::unique_ptr<Tempo> tempo;
    std::unique_ptr<SimDevice> process;
  };

  void Start(DeviceOptions device) {
    auto box = std::make_unique<Box>();
    box->options = std::move(device);
    box->options.step_seconds.points = {{0, 0.0}, {1, 0.001}};
    box->host = network_.AddHost(box->options.link);
    const auto number = static_cast<int>(boxes_.size());
    box->tempo = std::make_unique<Tempo>(box->options, 1, number);
    SimDevice::Options options;
    options.process = {.loop = &loop_, .network = &network_, .audience = &audience_};
    options.number = number;
    options.host = box->host;
    options.worker.name = box->options.name;
    options.worker.token = "secret";
    options.worker.incarnation = 100 + static_cast<uint64_t>(number);
    options.box = &box->options;
    options.tempo = box->tempo.get();
    options.workload = workload_.get();
    if (!stretch_times_.empty()) options.stretch_times = &stretch_times_;
    options.find_host = [this](const std::string& name) -> std::optional<HostId> {
      for (const auto& each : boxes_) {
        if (each->options.name == name) return each->host;
      }
      return std::nullopt;
    };
    options.make_leader = [this](Address self) {
      cluster::JobSpec own = spec_;
      own.leader = self;
      return cluster::Leader::Make(own, ToyStart(spec_)).value();
    };
    box->process = std::make_unique<SimDevice>(options, spec_);
    boxes_.push_back(std::move(box));
    boxes_.back()->process->Start();
    RunFor(milliseconds(50));
  }
  void StartBoth(const DeviceOptions& second = {}) {
    Start({.name = "first"});
    DeviceOptions named = second;
    named.name = "second";
    Start(named);
  }
  void StartAnew() {
    hub_.heard.clear();
    hub_.lines.clear();
    boxes_.clear();
    StartBoth();
  }
  SimDevice& At(size_t index) { return *boxes_[index]->process; }

  // One step with a lease for each device.
  void BeginStep(int64_t step) {
    cluster::BeginStep begin{.term = 1, .step = step, .total_samples = 32, .lr = 0.1};
    for (int64_t slot : {0, 1}) {
      begin.leases.push_back({.id = static_cast<uint64_t>(step * 1000 + slot + 1),
                              .step = step,
                              .slot = slot,
                              .begin = 32 * step + 16 * slot,
                              .count = 16});
    }
    begin.range = hub_.layout.parts[0].range;
    begin.version = step;
    hub_.SendTo(kLeader, begin);
    for (DeviceId device : {1, 2}) {
      hub_.SendTo({device, Role::kWorker},
                  cluster::Grant{1, begin.leases[device - 1], begin.version});
    }
  }
  void RunFor(Duration time) {
    const TimePoint end = loop_.now() + time;
    loop_.At(end, [] {});
    while (loop_.Step(end)) {
    }
  }
  double now_s() const { return base::Seconds(loop_.now() - TimePoint{}); }
  // That went by the hub.
  size_t Relayed() const {
    return hub_.Heard<cluster::Push>().size() + hub_.Heard<cluster::Pull>().size();
  }

  std::vector<StretchTime> stretch_times_;  // empty: not known
  cluster::JobSpec spec_ = ToyJob(320, 1, 32);
  Loop loop_{1};
  Audience audience_;
  Network network_;
  PlayedHub hub_;
  std::shared_ptr<Workload> workload_;
  std::vector<std::unique_ptr<Box>> boxes_;
};

TEST_F(DeviceTest, SaysWhereItIsReachedOnlyIfItMayLead) {
  Start({.name = "first"});
  Start({.name = "second", .can_lead = false});
  spec_.leaders = 1;
  Start({.name = "third"});
  std::vector<std::string> endpoints;
  for (const Envelope& each : hub_.Heard<cluster::Hello>()) {
    endpoints.push_back(std::get<cluster::Hello>(each.message).endpoint);
  }
  EXPECT_THAT(endpoints, ElementsAre("first", "", ""));
  EXPECT_NE(At(0).leader(), nullptr);
  EXPECT_EQ(At(1).leader(), nullptr);
  EXPECT_EQ(At(2).leader(), nullptr);
}

TEST_F(DeviceTest, LeadsAStepOverALineOfItsOwn) {
  StartBoth();
  BeginStep(0);
  RunFor(seconds(1));
  const auto committed = hub_.Heard<cluster::Committed>();
  ASSERT_THAT(committed, SizeIs(1));
  EXPECT_EQ(committed[0].from, kLeader);
  EXPECT_EQ(std::get<cluster::Committed>(committed[0].message).samples, 32);
  EXPECT_EQ(At(1).leader()->version(), 1);
  EXPECT_EQ(Relayed(), 0U);
  EXPECT_TRUE(At(0).peers().HasLine(2));
  EXPECT_TRUE(At(1).peers().HasLine(1)) << "the same line, for the answers";
  EXPECT_EQ(At(0).worker().unacknowledged(), 0U);
  EXPECT_EQ(At(1).worker().unacknowledged(), 0U) << "its own leader answers it as well";
  BeginStep(1);
  RunFor(seconds(1));
  EXPECT_THAT(hub_.Heard<cluster::Committed>(), SizeIs(2));
}

TEST_F(DeviceTest, ALeaseOfANewSizeTakesAPlan) {
  const auto plan_seconds = [&](double costs) {
    hub_.heard.clear();
    hub_.lines.clear();
    boxes_.clear();
    Start({.name = "first"});
    Start({.name = "second", .plan_seconds = costs});
    for (int64_t step : {0, 1, 2}) {
      BeginStep(step);
      RunFor(seconds(1));
    }
    EXPECT_THAT(hub_.Heard<cluster::Committed>(), SizeIs(3));
    return At(1).worker().stats();
  };
  EXPECT_EQ(plan_seconds(0).plan_seconds, 0);
  const cluster::DeviceStats stats = plan_seconds(0.2);
  EXPECT_NEAR(stats.plan_seconds, 0.2, 1e-6);
  EXPECT_NEAR(stats.last_seconds, plan_seconds(0).last_seconds, 1e-6) << "not in the lease's time";
}

TEST_F(DeviceTest, WhatHasNoLineGoesByTheHub) {
  for (const char* endpoint : {"", "nowhere"}) {
    hub_.layout.parts[0].endpoint = endpoint;
    StartAnew();
    BeginStep(0);
    RunFor(seconds(1));
    EXPECT_THAT(hub_.Heard<cluster::Committed>(), SizeIs(1)) << endpoint;
    EXPECT_GE(Relayed(), 2U) << endpoint;
  }
}

TEST_F(DeviceTest, ABrokenLineIsMadeAgainAndMeanwhileTheHubServes) {
  for (int i = 0; i < 10; ++i) {  // its other end is told or not
    SCOPED_TRACE(i);
    StartAnew();
    BeginStep(0);
    RunFor(milliseconds(300));
    ASSERT_THAT(At(0).lines(), SizeIs(1));
    network_.Break(At(0).lines()[0], "reset");
    RunFor(milliseconds(10));
    EXPECT_FALSE(At(0).peers().HasLine(2));
    BeginStep(1);
    RunFor(seconds(2));
    EXPECT_THAT(hub_.Heard<cluster::Committed>(), SizeIs(2));
    const size_t relayed = Relayed();
    EXPECT_GE(relayed, 1U);
    BeginStep(2);
    RunFor(milliseconds(300));
    EXPECT_THAT(hub_.Heard<cluster::Committed>(), SizeIs(3));
    EXPECT_EQ(Relayed(), relayed);
    EXPECT_TRUE(At(0).peers().HasLine(2));
  }
}

TEST_F(DeviceTest, WhenAPeerDiesTheHubServes) {
  StartBoth();
  BeginStep(0);
  RunFor(milliseconds(500));
  ASSERT_TRUE(At(0).peers().HasLine(2));
  // Its process dies, and nobody answers at its host.
  boxes_[1]->process.reset();
  RunFor(milliseconds(500));
  EXPECT_FALSE(At(0).peers().HasLine(2));
  hub_.passes_on = false;
  hub_.SendTo({1, Role::kWorker},
              cluster::Grant{1, {.id = 1001, .step = 1, .begin = 32, .count = 16}, 1});
  RunFor(seconds(1));
  EXPECT_GE(Relayed(), 1U) << "its pull or push";
}

TEST_F(DeviceTest, LeadingTakesTheProcessorsTime) {
  DeviceOptions second;
  second.leading = {
      .message_seconds = 0.001, .push_seconds = 0.1, .apply_seconds = 0.5, .send_seconds = 0.2};
  StartBoth(second);
  const double began = now_s();
  BeginStep(0);
  while (hub_.Heard<cluster::Committed>().empty() && now_s() < 60) RunFor(milliseconds(1));
  // The first device is sent parameters and computes meanwhile; both gradients are added, one after
  // another, and the step is applied. What the second's own worker gets passes no network.
  const double floor = 0.2 + 0.1 + 0.1 + 0.5;
  EXPECT_GE(now_s() - began, floor);
  EXPECT_LE(now_s() - began, floor + 0.03);
}

struct ActivityLog : Observer {
  void OnActivity(TimePoint, int, Activity activity) override { seen.push_back(activity); }
  std::vector<Activity> seen;
};

// One device that computes, with parameters in two ranges from the hub.
class PiecesTest : public DeviceTest {
 protected:
  PiecesTest() {
    const int64_t half = spec_.parameter_count() / 2;
    front_ = {0, half};
    back_ = {half, spec_.parameter_count() - half};
    stretch_times_ = {{0, half, 0.0, 1.0}, {half, back_.count, 0.25, 0.5}};
    hub_.layout.parts = {{.range = front_, .leader = {0, Role::kLeader}},
                         {.range = back_, .leader = {0, Role::kLeader}}};
    audience_.Add(&activities_);
    Start({.name = "only"});
    activities_.seen.clear();
  }
  ~PiecesTest() override { boxes_.clear(); }  // they tell activities_
  void Give(const cluster::Range& range, int64_t version) {
    auto packet = std::make_shared<Bytes>();
    const std::vector<float> values(static_cast<size_t>(range.count), 0.25f);
    CHECK(codec::MakeCodec("dense").value()->Encode(values, {}, packet.get()).ok());
    hub_.SendTo({1, Role::kWorker}, cluster::Parameters{1, version, packet, range});
    RunFor(milliseconds(1));
  }
  // A lease that takes 100 ms to compute.
  void Grant(int64_t step) {
    const cluster::Lease lease{
        .id = static_cast<uint64_t>(step) * 1000 + 1, .step = step, .count = 100};
    hub_.SendTo({1, Role::kWorker}, cluster::Grant{1, lease, step});
    RunFor(milliseconds(1));
  }
  std::vector<cluster::Push> Pushes() const {
    std::vector<cluster::Push> pushes;
    for (const Envelope& each : hub_.Heard<cluster::Push>()) {
      const auto& push = std::get<cluster::Push>(each.message);
      if (push.gradient != nullptr) pushes.push_back(push);  // else a question
    }
    return pushes;
  }

  cluster::Range front_, back_;
  ActivityLog activities_;
};

TEST_F(PiecesTest, WaitsWhereAPieceIsReadThatHasNotCome) {
  Give(front_, 0);
  Grant(0);
  RunFor(milliseconds(500));
  EXPECT_THAT(Pushes(), IsEmpty());
  Give(back_, 0);
  // A quarter of the lease was computed before.
  RunFor(milliseconds(23));
  EXPECT_THAT(Pushes(), IsEmpty());
  RunFor(milliseconds(4));
  ASSERT_THAT(Pushes(), SizeIs(1));
  EXPECT_EQ(Pushes()[0].range, back_);
  RunFor(milliseconds(45));
  EXPECT_THAT(Pushes(), SizeIs(1));
  RunFor(milliseconds(5));
  EXPECT_THAT(Pushes(), SizeIs(2));
  EXPECT_NEAR(At(0).worker().stats().last_seconds, 0.1, 1e-3) << "without waiting";
  EXPECT_THAT(activities_.seen, ElementsAre(Activity::kCompute, Activity::kIdle, Activity::kCompute,
                                            Activity::kIdle));
}

TEST_F(PiecesTest, DoesNotWaitForAPieceThatComesInTime) {
  Give(front_, 0);
  Grant(0);
  RunFor(milliseconds(15));
  Give(back_, 0);
  RunFor(milliseconds(85));
  EXPECT_THAT(Pushes(), SizeIs(2));
  EXPECT_THAT(activities_.seen, ElementsAre(Activity::kCompute, Activity::kIdle));
}

TEST_F(PiecesTest, TheNextStepEndsTheWait) {
  for (const int wait : {0, 200}) {  // before it has come to the piece, or after
    SCOPED_TRACE(wait);
    const int64_t step = wait > 0 ? 3 : 0;
    Give(front_, step);
    Grant(step);
    RunFor(milliseconds(wait));
    const size_t before = Pushes().size();
    Give(front_, step + 1);
    Grant(step + 1);
    Give(back_, step + 1);
    RunFor(milliseconds(200));
    ASSERT_EQ(Pushes().size(), before + 2);
    for (size_t i = before; i < before + 2; ++i) EXPECT_EQ(Pushes()[i].version, step + 1);
  }
}

// Says one thing first.
struct Stranger : Endpoint {
  Stranger(Network* its_network, cluster::Message says)
      : network(its_network), hello(std::move(says)) {}
  void OnConnected(ConnectionId connection) override {
    network->Send(this, connection, {{9, Role::kWorker}, {2, Role::kWorker}, hello});
    const cluster::Pull pull{.term = 1, .device = 9};
    network->Send(this, connection, {{9, Role::kWorker}, {2, Role::kLeader}, pull});
  }
  void OnMessage(ConnectionId, const Envelope& envelope) override {
    heard.emplace_back(cluster::MessageName(envelope.message));
  }
  void OnDisconnected(ConnectionId, const std::string& reason) override { lost.push_back(reason); }
  Network* network;
  cluster::Message hello;
  std::vector<std::string> heard;
  std::vector<std::string> lost;
};

TEST_F(DeviceTest, HearsOnlyPeersWithTheToken) {
  StartBoth();
  BeginStep(0);
  RunFor(seconds(1));
  const HostId host = network_.AddHost({});
  const auto call = [&](cluster::Message hello) {
    Stranger stranger(&network_, std::move(hello));
    network_.Dial(&stranger, host, boxes_[1]->host);
    RunFor(seconds(1));
    network_.Vanish(&stranger);
    return stranger;
  };
  const Stranger friendly = call(cluster::Hello{.token = "secret", .device = 9});
  EXPECT_THAT(friendly.heard, ElementsAre("Welcome", "Parameters"));
  EXPECT_THAT(friendly.lost, IsEmpty());
  for (const cluster::Message& hello : std::initializer_list<cluster::Message>{
           cluster::Hello{.token = "guess", .device = 9}, cluster::Pull{.term = 1, .device = 9}}) {
    const Stranger refused = call(hello);
    EXPECT_THAT(refused.heard, ElementsAre("Refuse"));
    EXPECT_THAT(refused.lost, SizeIs(1));
  }
}

}  // namespace
}  // namespace weft::sim
