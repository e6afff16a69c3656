#include "plan/cut_ranges.h"

#include <algorithm>

#include "plan/shares.h"

namespace weft::plan {
namespace {

// Ends of stretches of at least `least` values; the last is that of the vector.
std::vector<int64_t> Ends(std::span<const int64_t> begins, int64_t values, double least) {
  std::vector<int64_t> ends;
  const auto last = [&] { return ends.empty() ? 0 : ends.back(); };
  for (const int64_t end : begins) {
    if (end < values && static_cast<double>(end - last()) >= least) ends.push_back(end);
  }
  if (!ends.empty() && static_cast<double>(values - last()) < least) ends.pop_back();
  ends.push_back(values);
  return ends;
}

}  // namespace

std::vector<LedRange> CutAlong(std::span<const LedRange> ranges, std::span<const int64_t> begins,
                               const CutOptions& options) {
  std::vector<LedRange> cut(ranges.begin(), ranges.end());
  if (ranges.size() < 2 || begins.empty()) return cut;
  const int64_t values = ranges.back().begin + ranges.back().count;
  const int64_t smallest = std::ranges::min(ranges, {}, &LedRange::count).count;
  if (smallest == 0) return cut;
  std::vector<double> weights;
  for (const LedRange& range : ranges) weights.push_back(static_cast<double>(range.count));
  const double least = static_cast<double>(options.fewest_values) * static_cast<double>(values) /
                       static_cast<double>(smallest);
  cut.clear();
  int64_t begin = 0;
  for (const int64_t end : Ends(begins, values, least)) {
    const int64_t blocks = (end - begin + options.alignment - 1) / options.alignment;
    const std::vector<int64_t> shares = ProportionalShares(blocks, weights);
    for (size_t i = 0; i < ranges.size(); ++i) {
      const int64_t count = std::min(shares[i] * options.alignment, end - begin);
      if (count > 0) cut.push_back({begin, count, ranges[i].leader, ranges[i].standby});
      begin += count;
    }
  }
  return cut;
}

std::vector<LedRange> Joined(std::span<const LedRange> parts) {
  std::vector<LedRange> joined;
  for (const LedRange& part : parts) {
    const auto it = std::ranges::find(joined, part.leader, &LedRange::leader);
    if (it == joined.end()) {
      joined.push_back(part);
      continue;
    }
    it->count += part.count;
    if (it->standby != part.standby) it->standby = 0;
  }
  int64_t begin = 0;
  for (LedRange& range : joined) {
    range.begin = begin;
    begin += range.count;
  }
  return joined;
}

}  // namespace weft::plan
