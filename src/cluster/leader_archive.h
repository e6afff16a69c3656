#pragma once
// Archive: makes checkpoints of what the leaders of all ranges send for one step, and hands out one
// at a time to be written.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "cluster/job_spec.h"
#include "cluster/range_state.h"
#include "cluster/snapshot.h"

namespace weft::cluster {

class Archive {
 public:
  // Steps of which not all ranges have come yet; the oldest gives way.
  static constexpr size_t kMaxOpen = 2;

  // `spec` must outlive it.
  explicit Archive(const JobSpec* spec) : spec_(spec) {}

  // Not for steps that are not newer than the newest one that is whole, unless that failed.
  bool Wants(int64_t step) const { return !newest_ || step > *newest_; }
  // The numbers of a range after `step - 1`; piece.step is not looked at.
  void Add(int64_t step, const RangeAssembly::Piece& piece);

  // The next one to write, if there is one and none is being written; then Done says how it went.
  std::shared_ptr<const Snapshot> Next();
  bool writing() const { return writing_; }
  void Done(bool ok);
  // One waits for another to be written; asked once for each that has to.
  bool TookToWaiting() { return std::exchange(took_to_waiting_, false); }
  // The newest one that was put together from several ranges; null: none yet.
  const std::shared_ptr<const Snapshot>& newest() const { return last_; }

 private:
  const JobSpec* const spec_;
  std::map<int64_t, RangeAssembly> open_;  // by step
  std::shared_ptr<const Snapshot> waiting_;
  std::shared_ptr<const Snapshot> last_;
  bool writing_ = false;
  bool took_to_waiting_ = false;
  std::optional<int64_t> newest_;  // step
};

}  // namespace weft::cluster
