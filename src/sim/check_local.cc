#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "cluster/describe.h"
#include "sim/checker.h"

namespace weft::sim {
namespace {

class Local : public Checker {
 public:
  explicit Local(const cluster::JobSpec& spec) : ends_(spec.shard_samples.size()) {
    std::partial_sum(spec.shard_samples.begin(), spec.shard_samples.end(), ends_.begin());
  }
  std::string_view name() const override { return "locality"; }

  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    if (ends_.empty()) return;
    if (const auto* welcome = std::get_if<cluster::Welcome>(&envelope.message)) {
      shard_of_[welcome->device] = welcome->shard;
    } else if (const auto* grant = std::get_if<cluster::Grant>(&envelope.message)) {
      Check(now, envelope.to.device, grant->lease);
    }
  }

 private:
  void Check(TimePoint now, cluster::DeviceId device, const cluster::Lease& lease) {
    const auto first = std::upper_bound(ends_.begin(), ends_.end(), lease.begin) - ends_.begin();
    const auto last =
        std::upper_bound(ends_.begin(), ends_.end(), lease.begin + lease.count - 1) - ends_.begin();
    const auto own = shard_of_.find(device);
    const int64_t has = own == shard_of_.end() ? -1 : own->second;
    if (first == has && last == has) return;
    Violate(now, fmt::format("lease {} of shards {} to {} is granted to device {}; want one of its "
                             "own, {}",
                             cluster::Describe(lease), first, last, device, has));
  }

  std::vector<int64_t> ends_;  // of the shards
  std::map<cluster::DeviceId, int64_t> shard_of_;
};

}  // namespace

std::unique_ptr<Checker> MakeLocalityChecker(const cluster::JobSpec& spec) {
  return std::make_unique<Local>(spec);
}

}  // namespace weft::sim
