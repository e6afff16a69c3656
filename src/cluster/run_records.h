#pragma once
// RunRecords: the coordinator's own records in its store: the term, and the ledger as it was at
// each step that a checkpoint goes on from.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/status.h"
#include "cluster/coord_store.h"

namespace weft::cluster {

class RunRecords {
 public:
  explicit RunRecords(CoordStore* store) : store_(store) {}

  // One more than ever before, and kept before it is returned. Errors: of the store; kDataLoss.
  Result<uint64_t> NextTerm();

  // The ledger's text form as of `step`, if there is one. Later ones are forgotten: the run goes on
  // from here.
  Result<std::optional<std::string>> LoadLedger(int64_t step);
  // Records older than `oldest_needed` are dropped.
  Status SaveLedger(int64_t step, const std::string& text, int64_t oldest_needed);

 private:
  CoordStore* store_;
  std::map<int64_t, std::string> ledgers_;  // by step
};

}  // namespace weft::cluster
