#include "cluster/shard_memory.h"

#include "cluster/step_plan.h"

namespace weft::cluster {
namespace {

int64_t StepOf(uint64_t lease) { return static_cast<int64_t>(lease - 1) / kLeaseIdsPerStep; }

}  // namespace

// ---- AppliedMemory

void AppliedMemory::Remember(const Applied& applied) {
  Sender& sender = senders_[applied.device];
  if (sender.incarnation != applied.incarnation) {
    sender = {.incarnation = applied.incarnation, .sequences = {}};
  }
  const auto sequence = static_cast<int64_t>(applied.sequence);
  sender.sequences.Add(sequence, sequence + 1);
  recent_.push_back(applied);
  if (recent_.size() > kMostRecent) recent_.pop_front();

  const int64_t step = StepOf(applied.lease);
  if (step <= forgotten_) return;
  const auto lease = static_cast<int64_t>(applied.lease);
  leases_[step].Add(lease, lease + 1);
  if (leases_.size() <= kMostSteps) return;
  forgotten_ = leases_.begin()->first;
  leases_.erase(leases_.begin());
}

bool AppliedMemory::Contains(const Applied& update) const {
  const auto it = senders_.find(update.device);
  return it != senders_.end() && it->second.incarnation == update.incarnation &&
         it->second.sequences.Contains(static_cast<int64_t>(update.sequence));
}

bool AppliedMemory::HasLease(uint64_t lease) const {
  const int64_t step = StepOf(lease);
  if (step <= forgotten_) return true;
  const auto it = leases_.find(step);
  return it != leases_.end() && it->second.Contains(static_cast<int64_t>(lease));
}

// ---- Progress

void Progress::Advance(double fraction) {
  ++version_;
  rounds_.push_back(rounds_.back() + fraction);
  if (rounds_.size() > kMostVersions) rounds_.pop_front();
}

double Progress::RoundsSince(int64_t version, double fraction) const {
  const int64_t oldest = version_ - static_cast<int64_t>(rounds_.size()) + 1;
  if (version >= version_) return 0;
  if (version >= oldest) return rounds_.back() - rounds_[static_cast<size_t>(version - oldest)];
  return rounds_.back() - rounds_.front() + static_cast<double>(oldest - version) * fraction;
}

// ---- Bases

void Bases::Note(Address device, int64_t version, std::span<const float> parameters) {
  std::deque<int64_t>& got = got_[device];
  if (!got.empty() && got.back() == version) return;
  Base& base = bases_[version];
  if (++base.users == 1) base.parameters.assign(parameters.begin(), parameters.end());
  got.push_back(version);
  if (got.size() > 2) {
    Release(got.front());
    got.pop_front();
  }
  if (bases_.size() > kMostVersions) bases_.erase(bases_.begin());
}

void Bases::Release(int64_t version) {
  const auto it = bases_.find(version);
  if (it != bases_.end() && --it->second.users == 0) bases_.erase(it);
}

std::span<const float> Bases::Find(int64_t version) const {
  const auto it = bases_.find(version);
  if (it == bases_.end()) return {};
  return it->second.parameters;
}

void Bases::Clear() {
  got_.clear();
  bases_.clear();
}

}  // namespace weft::cluster
