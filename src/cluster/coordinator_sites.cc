// Coordinator: updates of a site that go through a relay there, as one sum, and whether that pays.

#include <fmt/format.h>

#include <algorithm>

#include "cluster/coordinator.h"

namespace weft::cluster {

// Sums can be told from single updates neither by the order of slots nor by a median; and what is
// not waited for, or computed twice, is better on its way at once.
bool Coordinator::MaySum() const {
  const aggregate::Options& options = spec_.aggregation;
  return spec_.site_sums != SiteSums::kNever && !spec_.deterministic &&
         options.combine == aggregate::Combine::kMean && options.quorum >= 1 &&
         options.over_selection == 0;
}

// Between steps: takes sums up for a trial where devices have said their site. Only one thing is
// tried at a time.
void Coordinator::TrySites() {
  if (spec_.site_sums == SiteSums::kAlways) sum_sites_ = true;
  if (devices_.with_site() == 0) return;
  const bool known = site_watch_.steps() >= SplitWatch::kSteps && site_watch_.MayTry(step_);
  if (sum_sites_ || !MaySum() || Streams() || !known || split_.on_trial()) return;
  if (!sites_.Possible(devices_.living())) return;
  sum_sites_ = true;
  site_reason_ = "a trial";
  site_watch_.BeginTrial(step_, site_watch_.exchange_s(true).value_or(0));
}

void Coordinator::WatchSites(const SplitWatch::Step& step) {
  if (spec_.site_sums != SiteSums::kAuto) return;
  site_watch_.Took(step, sites_.empty());
  if (!site_watch_.Failed()) return;
  sum_sites_ = false;
  site_reason_ = "steps took as long with sums";
}

// Tells whoever uses another relay from now on.
void Coordinator::PlanSites() {
  if (devices_.with_site() == 0 && sites_.empty()) return;
  const double values = static_cast<double>(spec_.parameter_count());
  const SiteKeeper::Sizes sizes{.update = values * BytesAsSent(spec_.codec_up),
                                .sum = values * BytesAsSent({}),
                                .parameters = values * BytesAsSent(spec_.codec_down)};
  const bool use = sum_sites_ && MaySum() && !Streams();
  const auto news = sites_.Plan(term_, devices_.living(), sizes, use);
  for (const auto& [device, site] : news) {
    if (site.relay == device) {
      const Address relay{device, Role::kRelay};
      actions_.push_back(Send{relay, Relayout{term_, seats_.layout()}});
      actions_.push_back(Send{relay, site});
    }
    ToWorker(device, site);
  }
  if (!news.empty()) TellSites();
}

void Coordinator::TellSites() {
  SitesChanged changed{.sites = {}, .reason = site_reason_};
  for (const auto& [relay, site] : sites_.relays()) {
    const Device& device = *devices_.Find(relay);
    changed.sites.push_back({device.site, relay, static_cast<int64_t>(site.members.size())});
  }
  if (changed.sites == told_sites_) return;
  told_sites_ = changed.sites;
  Emit(std::move(changed));
}

// How many of these leases each relay will hear of.
std::map<DeviceId, int64_t> Coordinator::LeasesByRelay(
    const std::vector<Dealer::Dealt>& dealt) const {
  std::map<DeviceId, int64_t> leases;
  if (sites_.empty()) return leases;
  for (const Dealer::Dealt& each : dealt) {
    const DeviceId relay = sites_.Of(each.device).relay;
    if (relay != 0) ++leases[relay];
  }
  return leases;
}

}  // namespace weft::cluster
