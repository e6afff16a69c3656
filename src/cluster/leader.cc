#include "cluster/leader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/planted.h"
#include "cluster/describe.h"
#include "cluster/wire_status.h"
#include "kernel/update.h"

namespace weft::cluster {
namespace {

constexpr uint64_t kMaxSequence = uint64_t{1} << 62;  // so that it fits an IntervalSet

}  // namespace

Result<std::unique_ptr<Leader>> Leader::Make(const JobSpec& spec, Snapshot start) {
  ASSIGN_OR_RETURN(auto up, codec::MakeCodec(spec.codec_up));
  ASSIGN_OR_RETURN(auto down, codec::MakeCodec(spec.codec_down));
  const auto n = static_cast<size_t>(spec.parameter_count());
  if (start.parameters.size() != n) {
    return base::DataLoss(
        fmt::format("snapshot: got {} parameters, want {}", start.parameters.size(), n));
  }
  if (start.step != start.version || start.step < 0) {
    return base::DataLoss(
        fmt::format("snapshot: got step {} of version {}", start.step, start.version));
  }
  const bool resumed = start.version > 0 || start.optimizer != engine::OptimizerState{};
  engine::OptimizerState moments = std::move(start.optimizer);
  std::unique_ptr<Leader> leader(new Leader(spec, std::move(start)));
  if (resumed) RETURN_IF_ERROR(leader->optimizer_.Restore(std::move(moments)));
  leader->up_ = std::move(up);
  leader->down_ = std::move(down);
  return leader;
}

Result<std::unique_ptr<Leader>> Leader::MakeEmpty(const JobSpec& spec, Address self) {
  JobSpec own = spec;
  own.leader = self;
  Snapshot nothing;
  nothing.parameters.resize(static_cast<size_t>(spec.parameter_count()));
  return Make(own, std::move(nothing));
}

Leader::Leader(const JobSpec& spec, Snapshot start)
    : address_(spec.leader),
      aggregator_(aggregate::MakeSyncAggregator(spec.parameter_count(), spec.deterministic)),
      optimizer_(spec.optimizer, spec.trainable_count, spec.statistics),
      version_(start.version),
      parameters_(std::move(start.parameters)),
      gradient_(parameters_.size()) {}

Actions Leader::Handle(TimePoint, Address from, const Message& message) {
  std::visit([&](const auto& m) { On(from, m); }, message);
  return std::exchange(actions_, {});
}

template <class Other>
void Leader::On(Address from, const Other& other) {
  Warn(fmt::format("{} sent the leader a {}, which it does not take; dropped", Describe(from),
                   MessageName(other)));
}

// ---- steps

void Leader::On(Address from, const BeginStep& begin) {
  if (from.role != Role::kCoordinator) return On<Message>(from, begin);
  if (begin.term < term_) return;
  if (begin.term > term_) AdoptTerm(begin.term);
  if (begin.step < version_) {
    // Applied already; what can still be asked of it is a checkpoint.
    if (begin.checkpoint && snapshot_ != version_) RequestSave();
    return;
  }
  if (begin.step > version_ || begin.leases.empty()) {
    return ToCoordinator(
        Fault{term_, begin.step, CodeNumber(Code::kFailedPrecondition),
              fmt::format("the leader holds version {}: it cannot begin step {} of {} leases",
                          version_, begin.step, begin.leases.size())});
  }
  if (open_) {  // said again, to ask for a checkpoint
    open_->checkpoint |= begin.checkpoint;
    return;
  }
  Open(begin);
}

// What was sent to the coordinator's predecessor is void: its leases are dealt anew.
void Leader::AdoptTerm(uint64_t term) {
  term_ = term;
  open_.reset();
  in_step_.clear();
  keys_in_step_.clear();
  beaten_ = {};
  for (Held& held : std::exchange(early_, {}).updates) {
    if (held.push.term >= term) Keep(std::move(held), &early_);
  }
  std::erase_if(pulls_, [&](const auto& entry) { return entry.second.term < term; });
}

void Leader::Open(const BeginStep& begin) {
  open_ = begin;
  leases_in_step_ = begin.leases.size();
  in_step_.assign(leases_in_step_, {});
  aggregator_->Begin(static_cast<int64_t>(begin.leases.size()), begin.total_samples);
  // A pull for the version that is there now may have come before its term did.
  AnswerPulls();
  for (Held& held : std::exchange(early_, {}).updates) AddOrRefuse(std::move(held));
}

void Leader::On(Address from, const Push& push) {
  if (from != Address{push.device, Role::kWorker} || push.sequence > kMaxSequence) {
    return Warn(fmt::format("{} pushed as device {}, sequence {}; dropped", Describe(from),
                            push.device, push.sequence));
  }
  Held held{from, push};
  if (push.term < term_) return Acknowledge(held, false);
  if (WasApplied(from, push)) return Acknowledge(held, true);
  if (push.gradient == nullptr || push.gradient->size() > up_->MaxBytes(parameters_.size())) {
    return Acknowledge(held, false);
  }
  const bool to_come = push.term > term_ || (!open_ && push.version == version_);
  if (!to_come) return AddOrRefuse(std::move(held));
  Keep(std::move(held), &early_);
}

Leader::Key Leader::KeyOf(const Held& held) {
  return {held.from.device, held.push.incarnation, held.push.sequence};
}

void Leader::Keep(Held held, Kept* kept) {
  const Key key = KeyOf(held);
  if (kept->keys.contains(key)) return;  // sent twice
  const size_t bytes = held.push.gradient == nullptr ? 0 : held.push.gradient->size();
  const size_t most_bytes = std::max(kMaxKeptBytes, 4 * up_->MaxBytes(parameters_.size()));
  if (kept->updates.size() >= most_kept() || kept->bytes + bytes > most_bytes) {
    return Acknowledge(held, false);
  }
  kept->keys.insert(key);
  kept->bytes += bytes;
  kept->updates.push_back(std::move(held));
}

bool Leader::Fits(const Push& push) const {
  if (!open_ || push.version != version_) return false;
  if (push.correct < 0 || push.correct > push.lease.count) return false;
  const auto slots = static_cast<int64_t>(open_->leases.size());
  return push.lease.slot >= 0 && push.lease.slot < slots &&
         open_->leases[static_cast<size_t>(push.lease.slot)] == push.lease;
}

void Leader::AddOrRefuse(Held held) {
  if (held.push.term != term_ || !Fits(held.push)) return Acknowledge(held, false);
  const Key key = KeyOf(held);
  if (keys_in_step_.contains(key)) return;  // sent twice; acknowledged when the step is applied
  std::optional<Held>& slot = in_step_[static_cast<size_t>(held.push.lease.slot)];
  if (slot) {
    held.push.gradient = nullptr;
    Keep(std::move(held), &beaten_);
    return;
  }
  const bool stale = base::Planted("leader.adds_the_one_before");
  Status status = stale ? OkStatus() : up_->Decode(*held.push.gradient, gradient_);
  if (status.ok())
    status = aggregator_->Add({held.push.lease.slot, held.push.lease.count, gradient_});
  if (!status.ok()) {
    Warn(fmt::format("update of lease {} from {} refused: {}", Describe(held.push.lease),
                     Describe(held.from), status.message()));
    return Acknowledge(held, false);
  }
  held.push.gradient = nullptr;
  if (base::Planted("leader.acknowledges_early")) Acknowledge(held, true);
  keys_in_step_.insert(key);
  slot = std::move(held);
  if (aggregator_->Ready()) Apply();
}

// ---- applying

std::string Leader::ProblemWithStep(std::span<const float> combined) const {
  const auto finite = [](const auto& held) { return std::isfinite(held->push.loss_sum); };
  if (!std::ranges::all_of(in_step_, finite)) return "the loss is not finite";
  if (!kernel::AllFinite(combined)) return "the gradient is not finite";
  return "";
}

void Leader::Apply() {
  const std::span<const float> combined = aggregator_->Finish();
  Committed record = Record();
  record.problem = ProblemWithStep(combined);
  const bool applied = record.problem.empty();
  if (applied) {
    record.gradient_norm =
        kernel::Norm(combined.first(combined.size() - optimizer_.statistics_count()));
    optimizer_.Apply(open_->lr, combined, parameters_);
    record.version = ++version_;
    encoded_ = nullptr;
  } else {
    record.problem += "; nothing of this step was applied. Try a lower learning rate, or a warm-up";
  }
  for (const std::optional<Held>& held : in_step_) {
    if (applied && !base::Planted("leader.forgets_what_it_applied")) RememberApplied(*held);
    Acknowledge(*held, applied);
  }
  const bool beaten_count = base::Planted("leader.acknowledges_the_beaten");
  for (const Held& held : beaten_.updates) Acknowledge(held, beaten_count);
  in_step_.clear();
  keys_in_step_.clear();
  beaten_ = {};
  const bool checkpoint = applied && open_->checkpoint;
  open_.reset();
  ToCoordinator(std::move(record));
  AnswerPulls();
  if (checkpoint) RequestSave();
}

Committed Leader::Record() const {
  Committed record{.term = term_,
                   .step = open_->step,
                   .version = version_,
                   .leases = {},
                   .devices = {},
                   .loss_sum = 0,
                   .correct = 0,
                   .samples = open_->total_samples,
                   .gradient_norm = 0,
                   .problem = {}};
  for (const std::optional<Held>& held : in_step_) {
    const bool first_again = base::Planted("leader.records_one_lease_twice");
    record.leases.push_back((first_again ? in_step_.front() : held)->push.lease);
    record.devices.push_back(held->push.device);
    record.loss_sum += held->push.loss_sum;
    record.correct += held->push.correct;
  }
  return record;
}

void Leader::On(Address from, const AskMissing& ask) {
  if (from.role != Role::kCoordinator) return On<Message>(from, ask);
  if (ask.term != term_ || !open_ || open_->step != ask.step) return;
  Missing missing{.term = term_, .step = ask.step, .slots = {}};
  for (size_t slot = 0; slot < in_step_.size(); ++slot) {
    if (!in_step_[slot]) missing.slots.push_back(static_cast<int64_t>(slot));
  }
  ToCoordinator(std::move(missing));
}

void Leader::Acknowledge(const Held& held, bool applied) {
  actions_.push_back(Send{
      held.from,
      PushAck{
          .term = term_, .sequence = held.push.sequence, .applied = applied, .version = version_}});
}

bool Leader::WasApplied(Address from, const Push& push) const {
  const auto it = applied_.find(from.device);
  return it != applied_.end() && it->second.incarnation == push.incarnation &&
         it->second.sequences.Contains(static_cast<int64_t>(push.sequence));
}

void Leader::RememberApplied(const Held& held) {
  Applied& applied = applied_[held.from.device];
  if (applied.incarnation != held.push.incarnation) {
    applied = {.incarnation = held.push.incarnation, .sequences = {}};
  }
  const auto sequence = static_cast<int64_t>(held.push.sequence);
  applied.sequences.Add(sequence, sequence + 1);
}

// ---- parameters

void Leader::On(Address from, const Pull& pull) {
  if (from.role != Role::kWorker || pull.term < term_) return;
  if (pull.term > term_ || pull.version > version_) {
    pulls_[from] = pull;
    return;
  }
  AnswerPull(pull, from);
}

void Leader::AnswerPull(const Pull& pull, Address to) {
  if (encoded_ == nullptr) {
    auto packet = std::make_shared<Bytes>();
    packet->reserve(down_->MaxBytes(parameters_.size()));
    CHECK(down_->Encode(parameters_, {}, packet.get()).ok());
    encoded_ = std::move(packet);
  }
  actions_.push_back(Send{to, Parameters{pull.term, version_, encoded_}});
}

void Leader::AnswerPulls() {
  for (auto it = pulls_.begin(); it != pulls_.end();) {
    const auto& [to, pull] = *it;
    const bool due = pull.term == term_ && pull.version <= version_;
    if (due) AnswerPull(pull, to);
    it = due ? pulls_.erase(it) : std::next(it);
  }
}

// ---- checkpoints

void Leader::RequestSave() {
  if (!saving_) return Save();
  if (std::exchange(save_wanted_, true)) return;
  Warn("the last checkpoint is still being written; the next one waits for it");
}

void Leader::Save() {
  save_wanted_ = false;
  saving_ = true;
  snapshot_ = version_;
  actions_.push_back(SaveCheckpoint{std::make_shared<const Snapshot>(
      Snapshot{version_, version_, parameters_, optimizer_.state()})});
}

Actions Leader::OnCheckpointDone(TimePoint, int64_t step, const std::string& path,
                                 const Status& status) {
  CHECK(saving_);
  saving_ = false;
  if (!status.ok()) snapshot_.reset();
  const int64_t told = step + (base::Planted("leader.reports_a_later_checkpoint") ? 1 : 0);
  ToCoordinator(CheckpointDone{term_, told, path, status.message()});
  if (save_wanted_) Save();
  return std::exchange(actions_, {});
}

void Leader::ToCoordinator(Message message) {
  actions_.push_back(Send{{kCoordinatorDevice, Role::kCoordinator}, std::move(message)});
}

}  // namespace weft::cluster
