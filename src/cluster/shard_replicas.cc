#include "cluster/shard_replicas.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace weft::cluster {

std::vector<Due> Replicas::Confirm(int64_t version) {
  std::vector<Due> due;
  while (!waiting_.empty() && waiting_.front().message.record.version <= version) {
    due.push_back(std::move(waiting_.front().due));
    waiting_.pop_front();
  }
  return due;
}

std::vector<Due> Replicas::TakeAll() {
  missed_ = -1;
  return Confirm(std::numeric_limits<int64_t>::max());
}

void Replicas::Clear() {
  missed_ = -1;
  waiting_.clear();
}

bool Replicas::IsBehind() {
  if (waiting_.empty() || waiting_.front().message.record.version <= missed_) return false;
  missed_ = waiting_.front().message.record.version;
  return true;
}

bool Replicas::Holds(const Applied& update) const {
  const auto is_it = [&](const Applied& applied) {
    return applied.device == update.device && applied.incarnation == update.incarnation &&
           applied.sequence == update.sequence;
  };
  return std::ranges::any_of(waiting_, [&](const Waiting& waiting) {
    return std::ranges::any_of(waiting.message.applied, is_it);
  });
}

bool Replicas::HoldsStep(int64_t step) const {
  return std::ranges::any_of(
      waiting_, [&](const Waiting& waiting) { return waiting.message.record.step == step; });
}

bool Replicas::HoldsVersion(int64_t version) const {
  return std::ranges::any_of(
      waiting_, [&](const Waiting& waiting) { return waiting.message.record.version == version; });
}

Due& Replicas::last() {
  CHECK(!waiting_.empty());
  return waiting_.back().due;
}

std::vector<Replicate> Replicas::Messages(uint64_t layout) const {
  std::vector<Replicate> messages;
  for (const Waiting& waiting : waiting_) {
    messages.push_back(waiting.message);
    messages.back().layout = layout;
  }
  return messages;
}

}  // namespace weft::cluster
