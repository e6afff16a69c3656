#include "cluster/leader_archive.h"

#include <utility>

#include "base/check.h"

namespace weft::cluster {

void Archive::Add(int64_t step, const RangeAssembly::Piece& piece) {
  if (!Wants(step)) return;
  const auto it = open_.try_emplace(step, *spec_, Range{0, spec_->parameter_count()}).first;
  it->second.Add(piece);
  if (!it->second.whole()) {
    if (open_.size() > kMaxOpen) open_.erase(open_.begin());
    return;
  }
  Snapshot snapshot = it->second.Take();
  snapshot.step = step;
  // What is older is overtaken.
  open_.erase(open_.begin(), std::next(it));
  took_to_waiting_ = writing_ && waiting_ == nullptr;
  waiting_ = std::make_shared<const Snapshot>(std::move(snapshot));
  if (piece.range.count < spec_->parameter_count()) last_ = waiting_;
  newest_ = step;
}

std::shared_ptr<const Snapshot> Archive::Next() {
  if (writing_ || waiting_ == nullptr) return nullptr;
  writing_ = true;
  return std::exchange(waiting_, nullptr);
}

void Archive::Done(bool ok) {
  CHECK(writing_);
  writing_ = false;
  if (!ok && waiting_ == nullptr) newest_.reset();
}

}  // namespace weft::cluster
