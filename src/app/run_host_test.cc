// What the coordinator's process passes on between devices.

#include "app/run_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/queue.h"
#include "base/test_folder.h"

namespace weft::app {
namespace {

using cluster::Address;
using cluster::Envelope;
using cluster::Role;

constexpr Duration kPatience = std::chrono::seconds(60);  // only a hang meets it

std::shared_ptr<const Job> SmallJob() {
  const auto config = config::FromJson(
      R"({"job": {"batch": 8, "epochs": 1},
          "model": {"preset": "shapes-cnn"},
          "data": {"train": "synthetic:shapes?n=64"},
          "cluster": {"kernels": "reference"}})",
      "job");
  CHECK(config.ok()) << config.status().ToString();
  return OpenJob(*config, {.test_data = false}).value();
}

// A device that has joined; keeps what comes from other devices.
class PlayedDevice : public net::ConnectionHandler {
 public:
  PlayedDevice(RunHost* host, uint64_t incarnation) {
    connection_ = host->Connect(this).value();
    Say({}, {}, cluster::Hello{.name = "played", .incarnation = incarnation, .token = "secret"});
    CHECK(admitted_.PopFor(kPatience).has_value()) << "not admitted";
  }
  void Say(Address from, Address to, cluster::Message message) {
    CHECK(connection_->Send({from, to, std::move(message)}).ok());
  }
  Envelope Await() {
    std::optional<Envelope> next = heard_.PopFor(kPatience);
    CHECK(next.has_value()) << "waited in vain";
    return *std::move(next);
  }

 private:
  void OnMessage(Envelope envelope) override {
    if (std::holds_alternative<cluster::Welcome>(envelope.message)) {
      admitted_.Push(true);
    } else if (envelope.from.device != 0) {
      heard_.Push(std::move(envelope));
    }
  }
  void OnDisconnect(Status) override {}

  base::BoundedQueue<bool> admitted_{16};
  base::BoundedQueue<Envelope> heard_{1 << 10};
  std::unique_ptr<net::Connection> connection_;  // last: its callbacks use the above
};

TEST(RunHost, PassesOnWhatDevicesSayToEachOtherAndNothingElse) {
  const base::TestFolder temp;
  const auto job = SmallJob();
  RunRecord record;
  record.run = "test";
  record.config = job->config;
  RunFolder folder =
      RunFolder::Create(&base::LocalFileSystem(), temp / "run", std::move(record)).value();
  cluster::CheckpointFolder checkpoints(&base::LocalFileSystem(), folder.checkpoints_path());
  const auto store = cluster::MakeMemoryStore();
  const auto view = MakeQuiet();
  const auto host = RunHost::Listen("").value();
  RunHostOptions options;
  options.job = job;
  options.token = "secret";
  options.start_workers = 3;  // so that nothing begins
  options.store = store.get();
  options.view = view.get();
  options.folder = &folder;
  options.checkpoints = &checkpoints;
  options.start.parameters = StartParameters(*job).value();
  ASSERT_TRUE(host->Open(std::move(options)).ok());
  base::BoundedQueue<bool> over{1};
  base::WorkerThread thread;
  thread.Post([&] {
    host->Run();
    over.Push(true);
  });

  PlayedDevice first(host.get(), 1), second(host.get(), 2);
  // Not for a device to say, or to nobody; then what is.
  first.Say({1, Role::kCoordinator}, {2, Role::kLeader}, cluster::Pull{});
  first.Say({0, Role::kCoordinator}, {2, Role::kLeader}, cluster::BeginStep{});
  first.Say({1, Role::kLeader}, {2, Role::kWorker}, cluster::Grant{});
  first.Say({1, Role::kWorker}, {9, Role::kLeader}, cluster::Pull{});
  first.Say({77, Role::kWorker}, {2, Role::kLeader}, cluster::Pull{.version = 5});
  const Envelope pull = second.Await();
  EXPECT_EQ(pull.from, (Address{1, Role::kWorker})) << "whoever it claims to be";
  EXPECT_EQ(pull.to, (Address{2, Role::kLeader}));
  ASSERT_TRUE(std::holds_alternative<cluster::Pull>(pull.message));
  EXPECT_EQ(std::get<cluster::Pull>(pull.message).version, 5);
  const auto values = std::make_shared<const Bytes>(3'000'000, uint8_t{7});
  second.Say({2, Role::kLeader}, {1, Role::kWorker}, cluster::Parameters{.values = values});
  const Envelope parameters = first.Await();
  EXPECT_EQ(parameters.from, (Address{2, Role::kLeader}));
  EXPECT_EQ(*std::get<cluster::Parameters>(parameters.message).values, *values);

  host->Fail(base::Unavailable("the test is over"));
  EXPECT_TRUE(over.PopFor(kPatience).has_value());
}

}  // namespace
}  // namespace weft::app
