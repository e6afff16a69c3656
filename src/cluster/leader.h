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
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "aggregate/aggregator.h"
#include "base/clock.h"
#include "cluster/action.h"
#include "cluster/interval_set.h"
#include "cluster/job_spec.h"
#include "cluster/message.h"
#include "cluster/snapshot.h"
#include "cluster/step_plan.h"
#include "codec/codec.h"
#include "engine/optimizer.h"

namespace weft::cluster {

// Threads: one. Handle does the math of a step.
class Leader {
 public:
  // Updates that came before their step began, and updates beaten by another device, are kept: of
  // each kind so many, and two for each lease of the newest step; more are refused.
  static constexpr size_t kMaxKept = 1024;
  // The gradients of the early ones: so many bytes, or four updates if they are larger.
  static constexpr size_t kMaxKeptBytes = size_t{256} << 20;

  // Starts from a snapshot: of a checkpoint, or {0, 0, initial parameters, {}}.
  // Errors: kInvalidArgument for an unknown codec, kDataLoss for a snapshot of another model or
  // optimizer.
  static Result<std::unique_ptr<Leader>> Make(const JobSpec& spec, Snapshot start);
  // On a device.
  static Result<std::unique_ptr<Leader>> MakeEmpty(const JobSpec& spec, Address self);

  // `from` as the host knows it, not as the message claims.
  Actions Handle(TimePoint now, Address from, const Message& message);
  // The host has written a snapshot (`status` ok) or could not.
  Actions OnCheckpointDone(TimePoint now, int64_t step, const std::string& path,
                           const Status& status);

  Address address() const { return address_; }
  int64_t version() const { return version_; }
  // The flat vector of version(); valid until the next Handle.
  std::span<const float> parameters() const { return parameters_; }
  uint64_t term() const { return term_; }
  // Updates that wait for their step, or for its end to be refused; at most 2 * most_kept().
  size_t kept() const { return early_.updates.size() + beaten_.updates.size(); }
  size_t most_kept() const { return kMaxKept + 2 * leases_in_step_; }
  // Devices whose pull waits for a version to come.
  size_t waiting_pulls() const { return pulls_.size(); }

 private:
  // An update in the step, or one that waits.
  struct Held {
    Address from;
    Push push;
  };
  using Key = std::tuple<DeviceId, uint64_t, uint64_t>;  // device, incarnation, sequence
  struct Kept {
    std::vector<Held> updates;  // in the order they came
    std::set<Key> keys;         // of them
    size_t bytes = 0;           // of their gradients
  };
  Leader(const JobSpec& spec, Snapshot start);

  void On(Address from, const BeginStep& begin);
  void On(Address from, const Push& push);
  void On(Address from, const Pull& pull);
  void On(Address from, const AskMissing& ask);
  template <class Other>
  void On(Address from, const Other& other);

  void AdoptTerm(uint64_t term);
  void Open(const BeginStep& begin);
  void AddOrRefuse(Held held);
  static Key KeyOf(const Held& held);
  void Keep(Held held, Kept* kept);
  bool Fits(const Push& push) const;
  std::string ProblemWithStep(std::span<const float> combined) const;
  void Apply();
  Committed Record() const;
  void Acknowledge(const Held& held, bool applied);
  bool WasApplied(Address from, const Push& push) const;
  void RememberApplied(const Held& held);
  void AnswerPull(const Pull& pull, Address to);
  void AnswerPulls();
  void RequestSave();
  void Save();
  void ToCoordinator(Message message);
  void Warn(std::string text) { actions_.push_back(Emit{Warning{std::move(text)}}); }

  const Address address_;
  std::unique_ptr<codec::Codec> up_;
  std::unique_ptr<codec::Codec> down_;
  std::unique_ptr<aggregate::Aggregator> aggregator_;
  engine::Optimizer optimizer_;

  uint64_t term_ = 0;
  int64_t version_;                // also the next step to apply
  std::vector<float> parameters_;  // [n]
  std::vector<float> gradient_;    // [n] scratch: one decoded update
  Payload encoded_;                // of version_; null until somebody asks

  std::optional<BeginStep> open_;
  size_t leases_in_step_ = static_cast<size_t>(kMaxSlots);  // of the newest one
  // By slot; without their gradients, which are in the aggregator.
  std::vector<std::optional<Held>> in_step_;
  std::set<Key> keys_in_step_;
  Kept beaten_;  // another device filled the slot first: refused once the step is done
  Kept early_;   // their step has not begun here
  std::map<Address, Pull> pulls_;  // for versions to come

  struct Applied {
    uint64_t incarnation = 0;
    IntervalSet sequences;
  };
  std::map<DeviceId, Applied> applied_;

  bool saving_ = false;              // a snapshot is being written
  bool save_wanted_ = false;         // and another one is due after it
  std::optional<int64_t> snapshot_;  // the version of the newest one, if it did not fail
  Actions actions_;
};

}  // namespace weft::cluster
