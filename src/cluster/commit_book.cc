#include "cluster/commit_book.h"

#include <algorithm>

namespace weft::cluster {

void CommitBook::SetRanges(const Layout& layout) {
  ranges_ = layout.parts.size();
  open_.clear();
}

std::vector<CommitBook::Done> CommitBook::Enter(const Committed& record) {
  std::vector<Done> done;
  const size_t count = std::min(record.leases.size(), record.devices.size());
  for (size_t i = 0; i < count; ++i) {
    const Lease& lease = record.leases[i];
    if (ranges_ == 1) {
      done.push_back({lease, record.devices[i]});
      continue;
    }
    Open& open = open_.try_emplace(lease.id, Open{lease, record.devices[i], {}}).first->second;
    if (record.range.begin == 0) open.device = record.devices[i];
    open.applied.insert(record.range);
    if (open.applied.size() < ranges_) continue;
    done.push_back({lease, open.device});
    open_.erase(lease.id);
  }
  return done;
}

bool CommitBook::Has(uint64_t lease, const Range& range) const {
  const auto it = open_.find(lease);
  return it != open_.end() && it->second.applied.contains(range);
}

}  // namespace weft::cluster
