#pragma once
// Leader: holds the parameters and the optimizer, joins the updates of a step, applies them once
// and hands the new version to whoever asks. Here with the whole parameter vector.
//
// An update is applied at most once: (device, incarnation, sequence) is remembered, and a lease
// fills its slot of the step once. It is acknowledged only after it is in the parameters.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "aggregate/aggregator.h"
#include "base/clock.h"
#include "cluster/action.h"
#include "cluster/interval_set.h"
#include "cluster/job_spec.h"
#include "cluster/message.h"
#include "cluster/snapshot.h"
#include "codec/codec.h"
#include "engine/optimizer.h"

namespace weft::cluster {

// Threads: one. Handle does the math of a step.
class Leader {
 public:
  // Starts from a snapshot: of a checkpoint, or {0, 0, initial parameters, {}}.
  // Errors: kInvalidArgument for an unknown codec, kDataLoss for a snapshot of another model or
  // optimizer.
  static Result<std::unique_ptr<Leader>> Make(const JobSpec& spec, Snapshot start);

  Actions Handle(TimePoint now, Address from, const Message& message);
  // The host has written a snapshot (`status` ok) or could not.
  Actions OnCheckpointDone(TimePoint now, int64_t step, const std::string& path,
                           const Status& status);

  Address address() const { return address_; }
  int64_t version() const { return version_; }
  // The flat vector of version(); valid until the next Handle.
  std::span<const float> parameters() const { return parameters_; }
  const engine::OptimizerState& optimizer_state() const { return optimizer_.state(); }

 private:
  struct Held {  // an update in the step, or waiting for it to begin
    Address from;
    Push push;
  };
  Leader(const JobSpec& spec, Snapshot start);

  void On(Address from, const BeginStep& begin);
  void On(Address from, const Push& push);
  void On(Address from, const Pull& pull);
  template <class Other>
  void On(Address from, const Other& other);

  void AdoptTerm(uint64_t term);
  void Add(const Held& held);
  void Apply();
  void AcknowledgeStep(bool applied);
  void Acknowledge(Address to, uint64_t sequence, bool applied);
  bool WasApplied(const Push& push) const;
  void RememberApplied(const Push& push);
  void AnswerPulls();
  void RequestCheckpoint();
  void Save();
  Payload Encoded();

  const Address address_;
  const bool ordered_;
  std::unique_ptr<codec::Codec> up_;
  std::unique_ptr<codec::Codec> down_;
  std::unique_ptr<aggregate::Aggregator> aggregator_;
  engine::Optimizer optimizer_;

  uint64_t term_ = 0;
  int64_t version_ = 0;            // also the next step to apply
  std::vector<float> parameters_;  // [n]
  std::vector<float> gradient_;    // [n] scratch: one decoded update
  Payload encoded_;                // of version_; null: not yet asked for

  std::optional<BeginStep> open_;
  std::vector<Held> in_step_;  // by slot order of arrival
  std::vector<Held> beaten_;  // another device filled the slot first; refused when the step is done
  std::vector<Held> early_;   // of a step that has not begun here
  std::map<Address, Pull> pulls_;

  struct Applied {
    uint64_t incarnation = 0;
    IntervalSet sequences;
  };
  std::map<DeviceId, Applied> applied_;

  bool saving_ = false;         // a snapshot is being written
  bool save_wanted_ = false;    // and another one is due
  int64_t snapshot_step_ = -1;  // of the newest snapshot
  Actions actions_;
};

}  // namespace weft::cluster
