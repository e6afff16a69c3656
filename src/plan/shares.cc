#include "plan/shares.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <queue>

#include "base/check.h"

namespace weft::plan {
namespace {

// A device on the way to its share.
struct Taker {
  const Pace* pace;
  int64_t least;  // fewer are not worth its while
  int64_t most;
  bool takes = false;
};

// A moment at which the number of samples that the devices finish by then bends or jumps.
struct Bend {
  double at_s;
  size_t device;
  bool starts;  // to be worth its while; otherwise it is full
};

std::vector<Taker> Takers(int64_t total, std::span<const Pace> paces, int64_t least) {
  std::vector<Taker> takers;
  takers.reserve(paces.size());
  for (const Pace& pace : paces) {
    CHECK(std::isfinite(pace.fixed_s) && pace.fixed_s >= 0 && pace.most >= 0);
    CHECK(std::isfinite(pace.per_sample_s) && pace.per_sample_s > 0);
    const int64_t most = pace.most > 0 ? std::min(pace.most, total) : total;
    takers.push_back({&pace, std::min(least, most), most});
  }
  return takers;
}

std::vector<Bend> Bends(std::span<const Taker> takers) {
  std::vector<Bend> bends;
  bends.reserve(2 * takers.size());
  for (size_t i = 0; i < takers.size(); ++i) {
    bends.push_back({takers[i].pace->Seconds(takers[i].least), i, true});
    bends.push_back({takers[i].pace->Seconds(takers[i].most), i, false});
  }
  std::ranges::stable_sort(bends, {}, &Bend::at_s);
  return bends;
}

constexpr double kRounding = 1e-9;  // of sums of shares, relative

// The first moment by which the takers, in fractions of samples, finish `total`; infinity if they
// cannot hold them. Marks who takes part.
double FinishTogether(double total, std::span<Taker> takers) {
  double done = 0;   // by those that take part, at `now`
  double floor = 0;  // of `done`: they take at least so many
  double rate = 0;   // samples a second
  double now = 0;
  for (const Bend& bend : Bends(takers)) {
    const double before = done + rate * (bend.at_s - now);
    if (before >= total * (1 - kRounding)) return now + (total - done) / rate;
    done = before;
    now = bend.at_s;
    Taker& taker = takers[bend.device];
    const double speed = 1 / taker.pace->per_sample_s;
    const auto least = static_cast<double>(taker.least);
    if (!bend.starts) {
      if (taker.takes) rate = std::max(0.0, rate - speed);
    } else if (floor + least <= total) {  // otherwise there is no room for its least
      taker.takes = true;
      floor += least;
      done += least;
      rate += speed;
      if (done >= total) return now;
    }
  }
  return std::numeric_limits<double>::infinity();
}

int64_t DoneBy(double seconds, const Taker& taker) {
  if (!taker.takes) return 0;
  if (!std::isfinite(seconds)) return taker.most;
  const double quota = (seconds - taker.pace->fixed_s) / taker.pace->per_sample_s;
  const double most = std::min(quota, static_cast<double>(taker.most));
  return std::max(static_cast<int64_t>(most), taker.least);
}

// One sample more, or one less, for a device, and when it is done then (or was before).
using Sample = std::pair<double, size_t>;

// Returns how many nobody can hold.
int64_t GiveToTheSoonest(int64_t count, std::span<const Taker> takers,
                         std::vector<int64_t>* shares) {
  std::priority_queue<Sample, std::vector<Sample>, std::greater<>> soonest;
  const auto offer = [&](size_t i) {
    const bool worth = takers[i].takes || takers[i].least == 1;
    if (worth && (*shares)[i] < takers[i].most)
      soonest.emplace(takers[i].pace->Seconds((*shares)[i] + 1), i);
  };
  for (size_t i = 0; i < takers.size(); ++i) offer(i);
  for (; count > 0 && !soonest.empty(); --count) {
    const size_t i = soonest.top().second;
    soonest.pop();
    ++(*shares)[i];
    offer(i);
  }
  return count;
}

void TakeFromTheLatest(int64_t count, std::span<const Taker> takers, std::vector<int64_t>* shares) {
  std::priority_queue<Sample> latest;
  const auto offer = [&](size_t i) {
    if (takers[i].takes && (*shares)[i] > takers[i].least)
      latest.emplace(takers[i].pace->Seconds((*shares)[i]), i);
  };
  for (size_t i = 0; i < takers.size(); ++i) offer(i);
  for (; count > 0 && !latest.empty(); --count) {
    const size_t i = latest.top().second;
    latest.pop();
    --(*shares)[i];
    offer(i);
  }
}

}  // namespace

std::vector<int64_t> EqualShares(int64_t total, int64_t parts) {
  CHECK(total >= 0 && parts > 0);
  std::vector<int64_t> shares(static_cast<size_t>(parts), total / parts);
  for (int64_t i = 0; i < total % parts; ++i) ++shares[static_cast<size_t>(i)];
  return shares;
}

std::vector<int64_t> ProportionalShares(int64_t total, std::span<const double> weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  CHECK(total >= 0 && std::isfinite(sum) && sum > 0);
  std::vector<int64_t> shares(weights.size());
  std::vector<double> remainders(weights.size());
  int64_t left = total;
  for (size_t i = 0; i < weights.size(); ++i) {
    CHECK(weights[i] >= 0);
    const double quota = static_cast<double>(total) * weights[i] / sum;
    shares[i] = std::min(static_cast<int64_t>(quota), left);
    remainders[i] = quota - static_cast<double>(shares[i]);
    left -= shares[i];
  }
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return remainders[i]; });
  for (size_t k = 0; left > 0; ++k, --left) ++shares[order[k]];
  return shares;
}

SpeedShares SharesBySpeed(int64_t total, std::span<const Pace> paces, int64_t least) {
  CHECK(total >= 0 && least > 0);
  SpeedShares result{std::vector<int64_t>(paces.size(), 0)};
  if (total == 0 || paces.empty()) return result;
  std::vector<Taker> takers = Takers(total, paces, std::min(least, total));
  const double together_s = FinishTogether(static_cast<double>(total), takers);
  int64_t left = total;
  for (size_t i = 0; i < takers.size(); ++i) {
    result.shares[i] = DoneBy(together_s, takers[i]);
    left -= result.shares[i];
  }
  if (left > 0) left = GiveToTheSoonest(left, takers, &result.shares);
  if (left > 0 && least > 1) return SharesBySpeed(total, paces, 1);
  if (left < 0) TakeFromTheLatest(-left, takers, &result.shares);
  result.finish_s = FinishSeconds(result.shares, paces);
  return result;
}

double FinishSeconds(std::span<const int64_t> shares, std::span<const Pace> paces) {
  CHECK_EQ(shares.size(), paces.size());
  double finish_s = 0;
  for (size_t i = 0; i < shares.size(); ++i)
    finish_s = std::max(finish_s, paces[i].Seconds(shares[i]));
  return finish_s;
}

}  // namespace weft::plan
