#pragma once
// For the tests of the checkers: a small job, its leases and records, and a story told to one
// checker.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster/coordinator.h"
#include "cluster/leader.h"
#include "sim/checker.h"
#include "sim/toy.h"

namespace weft::sim::checking {

inline constexpr cluster::Address kCoordinator = {0, cluster::Role::kCoordinator};
inline constexpr cluster::Address kLeader = {0, cluster::Role::kLeader};

// Two steps of 8 samples an epoch, two leases a step.
inline cluster::JobSpec Job() {
  cluster::JobSpec spec = ToyJob(16, 2, 8);
  spec.deterministic = true;
  spec.slots = 2;
  return spec;
}

inline cluster::Lease LeaseOf(int64_t step, int64_t slot) {
  return {.id = static_cast<uint64_t>((step << 20) + slot) + 1,
          .step = step,
          .epoch = step / 2,
          .slot = slot,
          .begin = step % 2 * 8 + slot * 4,
          .count = 4};
}

inline cluster::Committed RecordOf(int64_t step) {
  return {.term = 1,
          .step = step,
          .version = step + 1,
          .leases = {LeaseOf(step, 0), LeaseOf(step, 1)},
          .devices = {1, 2},
          .samples = 8};
}

// Tells one checker a story, a millisecond an event.
class Story {
 public:
  explicit Story(std::unique_ptr<Checker> checker) : checker_(std::move(checker)) {
    checker_->OnHubStarted(Next(), 1, 0);
  }

  TimePoint Next() { return now_ = now_ + std::chrono::milliseconds(1); }
  void Wait(Duration wait) { now_ = now_ + wait; }
  TimePoint now() const { return now_; }
  Checker* operator->() { return checker_.get(); }
  const std::vector<std::string>& Found() const { return checker_->violations(); }

  void Send(cluster::Address from, cluster::Address to, cluster::Message message) {
    checker_->OnSent(Next(), {from, to, std::move(message)});
  }
  void Deliver(cluster::Address from, cluster::Address to, cluster::Message message) {
    checker_->OnDelivered(Next(), {from, to, std::move(message)});
  }
  // The hub starts again.
  void Restart(uint64_t term, int64_t first_step) {
    term_ = term;
    checker_->OnHubStarted(Next(), term, first_step);
  }
  void Commit(cluster::Committed record) {
    record.term = term_;
    Send(kLeader, kCoordinator, record);
    Deliver(kLeader, kCoordinator, record);
  }
  void Welcome(cluster::DeviceId device, uint64_t term = 1) {
    Deliver(kCoordinator, {device, cluster::Role::kWorker},
            cluster::Welcome{.device = device, .term = term});
  }
  void PushOf(cluster::DeviceId device, uint64_t sequence, const cluster::Lease& lease,
              uint64_t term = 1) {
    Send({device, cluster::Role::kWorker}, kLeader,
         cluster::Push{.term = term,
                       .device = device,
                       .incarnation = 70 + device,
                       .sequence = sequence,
                       .lease = lease,
                       .version = lease.step,
                       .gradient = std::make_shared<const Bytes>()});
  }
  void Ack(cluster::DeviceId device, uint64_t sequence, bool applied, int64_t version,
           uint64_t term = 1) {
    Send(kLeader, {device, cluster::Role::kWorker},
         cluster::PushAck{
             .term = term, .sequence = sequence, .applied = applied, .version = version});
  }
  // Both leases of a step are pushed, acknowledged and recorded.
  void Step(int64_t step, uint64_t sequence) {
    PushOf(1, sequence, LeaseOf(step, 0));
    PushOf(2, sequence, LeaseOf(step, 1));
    Ack(1, sequence, true, step + 1);
    Ack(2, sequence, true, step + 1);
    Commit(RecordOf(step));
  }
  void HubRests(const cluster::Leader& leader) {
    checker_->OnHubRest(Next(), coordinator_, leader);
  }

 private:
  std::unique_ptr<Checker> checker_;
  TimePoint now_;
  uint64_t term_ = 1;
  std::unique_ptr<cluster::CoordStore> store_ = cluster::MakeMemoryStore();
  cluster::Coordinator coordinator_{Job(), store_.get(), 0};
};

inline std::unique_ptr<cluster::Leader> LeaderAt(int64_t version) {
  cluster::JobSpec spec = Job();
  spec.optimizer.momentum = 0;
  cluster::Snapshot start = ToyStart(spec);
  start.step = start.version = version;
  start.optimizer.steps = version;
  return cluster::Leader::Make(spec, start).value();
}

}  // namespace weft::sim::checking
