// Two devices on sockets of this machine, of which one leads, before a coordinator that is played.

#include "app/worker_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/job_spec.h"
#include "app/trainer.h"
#include "base/queue.h"
#include "codec/codec.h"
#include "net/server.h"

namespace weft::app {
namespace {

using cluster::Address;
using cluster::DeviceId;
using cluster::Envelope;
using cluster::Role;

constexpr Duration kPatience = std::chrono::seconds(60);  // only a hang meets it
constexpr Address kLeader = {1, Role::kLeader};

std::shared_ptr<const Job> SmallJob() {
  const auto config = config::FromJson(
      R"({"job": {"batch": 8, "epochs": 1, "deterministic": true},
          "model": {"preset": "shapes-cnn"},
          "data": {"train": "synthetic:shapes?n=64"},
          "cluster": {"workers": 2, "kernels": "reference"}})",
      "job");
  CHECK(config.ok()) << config.status().ToString();
  auto job = OpenJob(*config, {.test_data = false});
  CHECK(job.ok()) << job.status().ToString();
  return std::move(job).value();
}

// Admits whoever comes; the first leads. Passes on what devices say to each other.
class PlayedHub : public net::HubHandler {
 public:
  explicit PlayedHub(int64_t parameters) : parameters_(parameters) {
    auto hub = net::Hub::Start({.listen = "127.0.0.1:0"}, this);
    CHECK(hub.ok()) << hub.status().ToString();
    hub_ = std::move(hub).value();
  }
  ~PlayedHub() override { hub_->Shutdown({}); }

  std::string address() const { return "127.0.0.1:" + std::to_string(hub_->port()); }
  void Send(Address to, cluster::Message message) {
    CHECK(hub_->Send(Line(to.device), {{0, Role::kCoordinator}, to, std::move(message)}).ok());
  }
  // The next message of this kind; others are passed over.
  template <class Kind>
  Envelope Await() {
    while (true) {
      std::optional<Envelope> next = heard_.PopFor(kPatience);
      CHECK(next.has_value()) << "waited in vain";
      relayed_ += next->to.device != 0 ? 1 : 0;
      if (std::holds_alternative<Kind>(next->message)) return *std::move(next);
    }
  }
  // Messages between devices among those that Await has seen.
  int relayed() const { return relayed_; }
  // From now on the test leads, these ranges.
  void Lead(const std::vector<cluster::Range>& ranges) {
    const std::lock_guard lock(mutex_);
    for (const cluster::Range& range : ranges) {
      own_.push_back({.range = range, .leader = {0, Role::kLeader}});
    }
  }
  // Of the leader, for whoever joins from now on; as it has said by default.
  void set_endpoint(const std::string& endpoint) {
    const std::lock_guard lock(mutex_);
    endpoint_ = endpoint;
  }

 private:
  uint64_t Line(DeviceId device) {
    const std::lock_guard lock(mutex_);
    return lines_.at(device);
  }
  void OnMessage(uint64_t connection, Envelope envelope) override {
    if (const auto* hello = std::get_if<cluster::Hello>(&envelope.message)) {
      cluster::Welcome welcome{.term = 1, .run = "run", .job = "{}", .heartbeat_ms = 60'000};
      {
        const std::lock_guard lock(mutex_);
        welcome.device = static_cast<DeviceId>(lines_.size() + 1);
        lines_[welcome.device] = connection;
        if (welcome.device == kLeader.device) endpoint_ = hello->endpoint;
        welcome.layout = {
            .number = 1,
            .parts = {{.range = {0, parameters_}, .leader = kLeader, .endpoint = endpoint_}}};
        if (!own_.empty()) welcome.layout.parts = own_;
      }
      Send({welcome.device, Role::kWorker}, welcome);
    } else if (envelope.to.device != 0) {
      (void)hub_->Send(Line(envelope.to.device), envelope);  // it may have left
    }
    heard_.Push(std::move(envelope));
  }
  void OnDisconnect(uint64_t, Status) override {}

  const int64_t parameters_;
  std::mutex mutex_;
  std::map<DeviceId, uint64_t> lines_;
  std::string endpoint_;
  std::vector<cluster::Layout::Part> own_;
  int relayed_ = 0;
  base::BoundedQueue<Envelope> heard_{1 << 16};
  std::unique_ptr<net::Hub> hub_;  // last: its callbacks use the above
};

class WorkerHostTest : public ::testing::Test {
 protected:
  void Start(const std::string& listen) {
    WorkerHostOptions options;
    options.worker.name = listen.empty() ? "worker" : "leader";
    options.worker.token = "secret";
    options.worker.incarnation = ++devices_;
    options.worker.give_up_after = std::chrono::seconds(1);
    options.threads = 1;
    options.listen = listen;
    options.dial = [this](net::ConnectionHandler* handler) {
      return net::Connection::Dial(hub_.address(), {}, handler);
    };
    options.open_job = [this](const cluster::Welcome&) -> Result<std::shared_ptr<const Job>> {
      return job_;
    };
    // One that holds all of the vector from the start.
    options.make_leader = [this](cluster::JobSpec spec, Address self) {
      spec.leader = self;
      cluster::Snapshot start;
      start.parameters = StartParameters(*job_).value();
      return cluster::Leader::Make(spec, std::move(start));
    };
    auto host = std::make_shared<WorkerHost>(std::move(options));
    threads_.push_back(std::make_unique<base::WorkerThread>());
    threads_.back()->Post([this, host] { ended_.Push(host->Run()); });
    hub_.Await<cluster::Hello>();
  }
  // One step of two leases, from the one device and the other.
  void BeginStep() {
    cluster::BeginStep begin{.term = 1, .total_samples = 8, .lr = 0.01};
    for (int64_t slot : {0, 1}) {
      begin.leases.push_back(
          {.id = static_cast<uint64_t>(slot + 1), .slot = slot, .begin = 4 * slot, .count = 4});
    }
    begin.range = {0, job_->graph->parameter_count()};
    hub_.Send(kLeader, begin);
    for (DeviceId device : {1, 2}) {
      hub_.Send({device, Role::kWorker}, cluster::Grant{1, begin.leases[device - 1], 0});
    }
  }
  void Finish() {
    for (DeviceId device : {1, 2}) {
      hub_.Send({device, Role::kWorker}, cluster::Finished{.term = 1});
    }
    for (int i = 0; i < 2; ++i) {
      const auto status = ended_.PopFor(kPatience);
      ASSERT_TRUE(status.has_value());
      EXPECT_TRUE(status->ok()) << status->ToString();
    }
  }

  const std::shared_ptr<const Job> job_ = SmallJob();
  PlayedHub hub_{job_->graph->parameter_count()};
  uint64_t devices_ = 0;
  base::BoundedQueue<Status> ended_{16};
  std::vector<std::unique_ptr<base::WorkerThread>> threads_;
};

TEST_F(WorkerHostTest, ADeviceLeadsAStepAndTheOtherReachesItDirectly) {
  Start("127.0.0.1:0");
  Start("");
  BeginStep();
  const Envelope committed = hub_.Await<cluster::Committed>();
  EXPECT_EQ(committed.from, kLeader);
  EXPECT_EQ(std::get<cluster::Committed>(committed.message).samples, 8);
  EXPECT_EQ(hub_.relayed(), 0);
  Finish();
}

TEST_F(WorkerHostTest, WhoCannotReachTheLeaderGoesByTheCoordinatorsProcess) {
  Start("127.0.0.1:0");
  hub_.set_endpoint("127.0.0.1:1");  // nobody listens there
  Start("");
  BeginStep();
  const Envelope committed = hub_.Await<cluster::Committed>();
  EXPECT_EQ(std::get<cluster::Committed>(committed.message).samples, 8);
  EXPECT_GE(hub_.relayed(), 2) << "pull and push";
  Finish();
}

// One device, to which the test sends parameters in two ranges.
class WorkerHostPieces : public WorkerHostTest {
 protected:
  WorkerHostPieces() {
    hub_.Lead({front_, back_});
    Start("");
  }
  cluster::Piece PieceOf(const cluster::Range& range, int64_t version) const {
    const std::span<const float> values(parameters_);
    const auto part =
        values.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.count));
    auto packet = std::make_shared<Bytes>();
    CHECK(codec::MakeCodec("dense").value()->Encode(part, {}, packet.get()).ok());
    return {range, version, packet};
  }
  void Give(const cluster::Range& range, int64_t version) {
    const cluster::Piece piece = PieceOf(range, version);
    hub_.Send({1, Role::kWorker}, cluster::Parameters{1, version, piece.values, range});
  }
  static cluster::Lease LeaseOf(int64_t step) {
    return {.id = static_cast<uint64_t>(step) * 1000 + 1, .step = step, .count = 8};
  }
  void Grant(int64_t step) {
    hub_.Send({1, Role::kWorker}, cluster::Grant{1, LeaseOf(step), step});
  }
  void End() {
    hub_.Send({1, Role::kWorker}, cluster::Finished{.term = 1});
    const auto status = ended_.PopFor(kPatience);
    ASSERT_TRUE(status.has_value()) << "it hangs";
    EXPECT_TRUE(status->ok()) << status->ToString();
  }

  const std::vector<float> parameters_ = StartParameters(*job_).value();
  const cluster::Range front_ = {0, 64};
  const cluster::Range back_ = {64, job_->graph->parameter_count() - 64};
};

TEST_F(WorkerHostPieces, AreAwaitedAndGiveTheSameUpdate) {
  Give(front_, 0);
  Grant(0);
  // The grant may overtake the values: then both ranges are asked for.
  while (std::get<cluster::Pull>(hub_.Await<cluster::Pull>().message).range != back_) {
  }
  Give(back_, 0);
  const cluster::Compute whole{.term = 1,
                               .lease = LeaseOf(0),
                               .pieces = {PieceOf(front_, 0), PieceOf(back_, 0)},
                               .ranges = {front_, back_}};
  const auto want = Trainer::Make(job_, {.threads = 1}).value()->Compute(whole);
  ASSERT_TRUE(want.ok()) << want.status().ToString();
  for (int i = 0; i < 2; ++i) {
    const auto push = std::get<cluster::Push>(hub_.Await<cluster::Push>().message);
    EXPECT_EQ(push.loss_sum, want->loss_sum);
    const auto& parts = want->parts;
    const auto it = std::ranges::find(parts, push.range, &cluster::Worker::Part::range);
    ASSERT_NE(it, parts.end());
    EXPECT_EQ(*push.gradient, *it->gradient);
  }
  End();
}

TEST_F(WorkerHostPieces, TheNextStepEndsTheWaitForThem) {
  Give(front_, 0);
  Grant(0);
  hub_.Await<cluster::Pull>();
  Give(front_, 1);
  Grant(1);
  Give(back_, 1);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(std::get<cluster::Push>(hub_.Await<cluster::Push>().message).version, 1);
  }
  End();
}

TEST_F(WorkerHostPieces, TheEndOfTheRunEndsTheWaitForThem) {
  Give(front_, 0);
  Grant(0);
  hub_.Await<cluster::Pull>();
  End();
}

TEST_F(WorkerHostTest, ListeningWhereItCannotIsAnError) {
  WorkerHostOptions options;
  options.listen = hub_.address();
  EXPECT_EQ(WorkerHost(std::move(options)).Run().code(), Code::kAlreadyExists);
}

}  // namespace
}  // namespace weft::app
