#include "plan/share_keeper.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace weft::plan {
namespace {

constexpr size_t kAskedTogether = 32;  // one in so many devices is asked again in one step

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Paces with the gaps filled: the median of those that are known.
std::vector<Pace> KnownPaces(std::span<const DevicePace> devices) {
  std::vector<double> fixed_s;
  std::vector<double> per_sample_s;
  for (const DevicePace& device : devices) {
    if (device.pace.per_sample_s <= 0) continue;
    fixed_s.push_back(device.pace.fixed_s);
    per_sample_s.push_back(device.pace.per_sample_s);
  }
  Pace usual{0, 1};
  if (!fixed_s.empty()) usual = {Median(std::move(fixed_s)), Median(std::move(per_sample_s))};
  std::vector<Pace> paces;
  paces.reserve(devices.size());
  for (const DevicePace& device : devices) {
    const bool known = device.pace.per_sample_s > 0;
    const double per_sample = std::max(usual.per_sample_s, device.least_per_sample_s);
    paces.push_back(known ? device.pace : Pace{usual.fixed_s, per_sample, device.pace.most});
  }
  return paces;
}

// Makes the shares of a group equal, to one sample, unless one of them cannot hold that.
void MakeEqual(std::span<const size_t> group, std::span<const Pace> paces,
               std::vector<int64_t>* shares) {
  int64_t sum = 0;
  for (size_t i : group) sum += (*shares)[i];
  const std::vector<int64_t> equal = EqualShares(sum, static_cast<int64_t>(group.size()));
  for (size_t i : group)
    if (paces[i].most > 0 && paces[i].most < equal[0]) return;
  for (size_t k = 0; k < group.size(); ++k) (*shares)[group[k]] = equal[k];
}

// Shares that are within `alike` of the smallest of their group become equal.
void JoinAlike(double alike, std::span<const Pace> paces, std::vector<int64_t>* shares) {
  std::vector<size_t> order;  // of those that get something, and could get more
  for (size_t i = 0; i < shares->size(); ++i)
    if ((*shares)[i] > 0 && (*shares)[i] != paces[i].most) order.push_back(i);
  std::ranges::stable_sort(order, {}, [&](size_t i) { return (*shares)[i]; });
  for (size_t begin = 0; begin < order.size();) {
    const double limit = static_cast<double>((*shares)[order[begin]]) * (1 + alike);
    size_t end = begin;
    while (end < order.size() && static_cast<double>((*shares)[order[end]]) <= limit) ++end;
    const std::span<size_t> group(&order[begin], end - begin);
    std::ranges::sort(group);
    MakeEqual(group, paces, shares);
    begin = end;
  }
}

std::vector<int64_t> Scaled(int64_t samples, const std::vector<int64_t>& shares) {
  const int64_t sum = std::accumulate(shares.begin(), shares.end(), int64_t{0});
  if (samples >= sum) return shares;
  return ProportionalShares(samples, std::vector<double>(shares.begin(), shares.end()));
}

}  // namespace

ShareKeeper::ShareKeeper(int64_t batch, ShareKeeperOptions options)
    : batch_(batch), options_(options) {
  CHECK(batch > 0 && options.least > 0 && options.ask_steps > 0 && options.ask_samples > 0);
}

KeptShares ShareKeeper::Next(int64_t samples, std::span<const DevicePace> devices) {
  CHECK(samples >= 0 && samples <= batch_);
  const std::vector<Pace> paces = KnownPaces(devices);
  const std::vector<int64_t> better = Better(devices, paces);
  KeptShares result;
  result.renewed =
      !SameDevices(devices) || OneRecovered(paces, better) || Pays(better, devices, paces);
  if (result.renewed) {
    devices_.clear();
    for (const DevicePace& device : devices) devices_.push_back(device.device);
    Renew(better, paces);
  }
  result.shares = Scaled(samples, shares_);
  AskAgain(&result.shares);
  result.finish_s = FinishSeconds(result.shares, paces);
  ++step_;
  return result;
}

// The best shares, but for those that devices had better keep.
std::vector<int64_t> ShareKeeper::Better(std::span<const DevicePace> devices,
                                         std::span<const Pace> paces) const {
  std::vector<int64_t> better = SharesBySpeed(batch_, paces, options_.least).shares;
  JoinAlike(options_.alike, paces, &better);
  return KeepDear(devices, paces, better);
}

std::vector<int64_t> ShareKeeper::KeepDear(std::span<const DevicePace> devices,
                                           std::span<const Pace> paces,
                                           const std::vector<int64_t>& better) const {
  const double finish_s = FinishSeconds(better, paces);
  std::vector<int64_t> shares(devices.size(), 0);
  std::vector<Pace> others;  // that take up what is left
  std::vector<size_t> places;
  int64_t left = std::accumulate(better.begin(), better.end(), int64_t{0});
  bool kept = false;
  for (size_t i = 0; i < devices.size(); ++i) {
    const int64_t share = ShareOf(devices[i].device);
    const double apart_s = std::abs(paces[i].Seconds(share) - finish_s);
    if (share > 0 && share <= left && devices[i].plan_s > options_.worth * finish_s &&
        apart_s <= options_.worth * finish_s) {
      shares[i] = share;
      left -= share;
      kept = kept || share != better[i];
      continue;
    }
    others.push_back(paces[i]);
    places.push_back(i);
  }
  if (!kept || others.empty()) return better;
  const SpeedShares rest = SharesBySpeed(left, others, options_.least);
  if (std::accumulate(rest.shares.begin(), rest.shares.end(), int64_t{0}) < left) return better;
  std::vector<int64_t> joined = rest.shares;
  JoinAlike(options_.alike, others, &joined);
  for (size_t k = 0; k < places.size(); ++k) shares[places[k]] = joined[k];
  return shares;
}

// The devices are the same: new shares would save enough, and soon as much as their plans cost.
bool ShareKeeper::Pays(const std::vector<int64_t>& better, std::span<const DevicePace> devices,
                       std::span<const Pace> paces) const {
  const double now_s = FinishSeconds(shares_, paces);
  const double then_s = FinishSeconds(better, paces);
  if (then_s >= (1 - options_.worth) * now_s) return false;
  double first_s = then_s;  // of the step that makes plans
  for (size_t i = 0; i < better.size(); ++i) {
    if (better[i] == 0 || better[i] == shares_[i]) continue;
    first_s = std::max(first_s, paces[i].Seconds(better[i]) + devices[i].plan_s);
  }
  const int64_t hold = std::max(step_ - renewed_at_, options_.least_hold);
  return first_s - then_s < static_cast<double>(hold) * (now_s - then_s);
}

// 0: it has none.
int64_t ShareKeeper::ShareOf(uint32_t device) const {
  const auto it = std::ranges::lower_bound(devices_, device);
  if (it == devices_.end() || *it != device) return 0;
  return shares_[static_cast<size_t>(it - devices_.begin())];
}

bool ShareKeeper::SameDevices(std::span<const DevicePace> devices) const {
  return std::ranges::equal(devices, devices_, {}, &DevicePace::device);
}

// Notes on the way how slow each was at its slowest.
bool ShareKeeper::OneRecovered(std::span<const Pace> paces, std::span<const int64_t> better) {
  bool one = false;
  for (size_t i = 0; i < devices_.size() && !left_out_.empty(); ++i) {
    const auto it = left_out_.find(devices_[i]);
    if (it == left_out_.end()) continue;
    LeftOut& left_out = it->second;
    const double now_s = paces[i].Seconds(options_.ask_samples);
    left_out.slowest_s = std::max(left_out.slowest_s, now_s);
    if (now_s * options_.recovered > left_out.slowest_s) continue;
    left_out = {step_ + options_.ask_steps, options_.ask_steps, now_s};
    one = one || better[i] > 0;
  }
  return one;
}

void ShareKeeper::Renew(const std::vector<int64_t>& shares, std::span<const Pace> paces) {
  std::unordered_map<uint32_t, LeftOut> left_out;
  for (size_t i = 0; i < shares.size(); ++i) {
    if (shares[i] > 0) continue;
    const auto it = left_out_.find(devices_[i]);
    left_out[devices_[i]] = it != left_out_.end()
                                ? it->second
                                : LeftOut{step_ + options_.ask_steps, options_.ask_steps,
                                          paces[i].Seconds(options_.ask_samples)};
  }
  shares_ = shares;
  renewed_at_ = step_;
  left_out_ = std::move(left_out);
}

void ShareKeeper::AskAgain(std::vector<int64_t>* shares) {
  if (left_out_.empty()) return;
  std::vector<size_t> due;
  for (size_t i = 0; i < devices_.size(); ++i) {
    const auto it = left_out_.find(devices_[i]);
    if (it != left_out_.end() && it->second.ask_at <= step_) due.push_back(i);
  }
  std::ranges::stable_sort(due, {}, [&](size_t i) { return left_out_[devices_[i]].ask_at; });
  due.resize(std::min(due.size(), 1 + devices_.size() / kAskedTogether));
  for (size_t i : due) {
    const auto giver = std::ranges::max_element(*shares) - shares->begin();
    const int64_t asked = std::min(options_.ask_samples, (*shares)[static_cast<size_t>(giver)] / 2);
    if (asked == 0) return;
    (*shares)[static_cast<size_t>(giver)] -= asked;
    (*shares)[i] = asked;
    LeftOut& left_out = left_out_[devices_[i]];
    left_out.wait *= 2;
    left_out.ask_at = step_ + left_out.wait;
  }
}

}  // namespace weft::plan
