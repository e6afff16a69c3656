#pragma once
// Ledger: counts every sample of every epoch from what was applied (Committed records), never from
// what was planned. Promise 1 of the design is that its two sums stay 0.

#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"
#include "cluster/interval_set.h"
#include "cluster/message.h"

namespace weft::cluster {

class Ledger {
 public:
  explicit Ledger(int64_t samples_per_epoch) : samples_per_epoch_(samples_per_epoch) {}

  // Enters what one step applied, all of the current epoch.
  void Commit(std::span<const Lease> leases);

  struct EpochCount {
    int64_t lost = 0;
    int64_t duplicated = 0;
  };
  // Closes the epoch: what is not covered by now is lost. The next epoch is empty.
  // absent: so many of them could not be computed, as the device that holds them was not there.
  EpochCount EndEpoch(int64_t absent = 0);

  // Of the epochs that have ended.
  int64_t lost_samples() const { return lost_; }
  // Of all epochs, the current one included.
  int64_t duplicated_samples() const { return duplicated_; }
  // Positions applied in the current epoch.
  int64_t covered() const { return covered_.size(); }
  const IntervalSet& positions() const { return covered_; }

  // Text form for the coordinator's store, and back. Errors: kDataLoss.
  std::string Save() const;
  Status Load(const std::string& text);
  // For a run resumed without a record: the first `positions` of the current epoch are in the
  // checkpoint.
  void AssumeCovered(int64_t positions);

  bool operator==(const Ledger&) const = default;

 private:
  int64_t samples_per_epoch_;
  IntervalSet covered_;
  int64_t epoch_duplicated_ = 0;
  int64_t lost_ = 0;
  int64_t duplicated_ = 0;
};

}  // namespace weft::cluster
