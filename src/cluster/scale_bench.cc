// One whole step of coordinator and leader with n devices: grants, updates of one value,
// acknowledgements, heartbeats, pulls and the commit; and the loss of one device. The time of one
// message should not depend on n.

#include <benchmark/benchmark.h>

#include <deque>
#include <memory>

#include "base/check.h"
#include "cluster/coordinator.h"
#include "cluster/leader.h"

namespace weft::cluster {
namespace {

constexpr Address kLeader = {kCoordinatorDevice, Role::kLeader};

JobSpec Spec(int64_t devices) {
  JobSpec spec;
  spec.run = "bench";
  spec.samples = devices;
  spec.batch = devices;
  spec.epochs = int64_t{1} << 40;
  spec.start_workers = devices;
  spec.trainable_count = 1;
  return spec;
}

// Both machines and the devices, which answer a grant at once.
class Step {
 public:
  explicit Step(int64_t devices)
      : store_(MakeMemoryStore()),
        coordinator_(Spec(devices), store_.get(), 0),
        leader_(Leader::Make(Spec(devices), {0, 0, {1}, {}}).value()) {
    auto packet = std::make_shared<Bytes>();
    CHECK(codec::MakeCodec("dense").value()->Encode(std::vector<float>{1}, {}, packet.get()).ok());
    gradient_ = std::move(packet);
    Take(coordinator_.Start(now_));
    for (int64_t device = 1; device <= devices; ++device) Join();
  }

  void Run() {
    const int64_t version = leader_->version();
    for (; !grants_.empty() && leader_->version() == version; grants_.pop_front()) {
      const auto& [device, grant] = grants_.front();
      const Address worker{device, Role::kWorker};
      Take(coordinator_.Handle(now_, worker, Heartbeat{1, 0, 0, grant.version, 1}));
      Take(leader_->Handle(now_, worker, Pull{1, device, grant.version + 1}));
      Take(leader_->Handle(now_, worker,
                           Push{.term = 1,
                                .device = device,
                                .incarnation = device,
                                .sequence = ++sequence_,
                                .lease = grant.lease,
                                .version = grant.version,
                                .gradient = gradient_}));
      messages_ += 3;
    }
    CHECK_EQ(leader_->version(), version + 1);
  }

  // The oldest device, which holds a lease, is lost and another comes, which then has it.
  void LoseOne() {
    Join();
    Take(coordinator_.OnDisconnected(now_, ++lost_, "gone"));
    messages_ += 2;
  }

  int64_t messages() const { return messages_; }

 private:
  void Join() {
    Hello hello;
    hello.name = "pi";
    hello.incarnation = static_cast<uint64_t>(++joined_);
    Take(coordinator_.OnHello(now_, static_cast<ConnectionId>(joined_), hello));
  }

  void Take(const Actions& actions) {
    for (const Action& action : actions) {
      if (const auto* save = std::get_if<SaveCheckpoint>(&action)) {
        Take(leader_->OnCheckpointDone(now_, save->snapshot->step, "", OkStatus()));
      }
      const auto* send = std::get_if<Send>(&action);
      if (send == nullptr) continue;
      ++messages_;
      if (send->to == kLeader) {
        Take(leader_->Handle(now_, Coordinator::kAddress, send->message));
      } else if (send->to == Coordinator::kAddress) {
        Take(coordinator_.Handle(now_, kLeader, send->message));
      } else if (const auto* grant = std::get_if<Grant>(&send->message)) {
        grants_.emplace_back(send->to.device, *grant);
      }
    }
  }

  TimePoint now_{};
  std::unique_ptr<CoordStore> store_;
  Coordinator coordinator_;
  std::unique_ptr<Leader> leader_;
  Payload gradient_;
  std::deque<std::pair<DeviceId, Grant>> grants_;
  int64_t joined_ = 0;
  DeviceId lost_ = 0;
  uint64_t sequence_ = 0;
  int64_t messages_ = 0;
};

void CountMessages(benchmark::State& state, int64_t messages) {
  state.counters["time/message"] = benchmark::Counter(
      static_cast<double>(messages), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Arguments: devices.
void WholeStep(benchmark::State& state) {
  Step step(state.range(0));
  const int64_t before = step.messages();
  for (auto _ : state) step.Run();
  CountMessages(state, step.messages() - before);
}
BENCHMARK(WholeStep)->Arg(10)->Arg(100)->Arg(1000)->Arg(8000)->Unit(benchmark::kMicrosecond);

// In the midst of a step: the lease of a lost device goes to another one.
void LossOfOneDevice(benchmark::State& state) {
  Step step(state.range(0));
  const int64_t before = step.messages();
  for (auto _ : state) step.LoseOne();
  CountMessages(state, step.messages() - before);
}
BENCHMARK(LossOfOneDevice)->Arg(10)->Arg(100)->Arg(1000)->Arg(8000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weft::cluster
