// Two devices on sockets of this machine, of which one leads, before a coordinator that is played.

#include "app/worker_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/job_spec.h"
#include "base/queue.h"
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

TEST_F(WorkerHostTest, ListeningWhereItCannotIsAnError) {
  WorkerHostOptions options;
  options.listen = hub_.address();
  EXPECT_EQ(WorkerHost(std::move(options)).Run().code(), Code::kAlreadyExists);
}

}  // namespace
}  // namespace weft::app
