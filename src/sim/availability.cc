#include "sim/availability.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "sim/loop.h"

namespace weft::sim {
namespace {

using Kind = AvailabilityOptions::Kind;

constexpr uint64_t kStream = 0xA7A1;
constexpr Duration kDay = std::chrono::hours(24);
// No stretch is shorter: a switch that bounces is none.
constexpr Duration kLeast = std::chrono::milliseconds(1);

}  // namespace

Availability::Availability(const AvailabilityOptions& options, uint64_t seed, int device)
    : options_(options),
      rng_(base::DeriveSeed(base::DeriveSeed(seed, kStream), static_cast<uint64_t>(device))) {}

double Availability::ShareAt(Duration at) const {
  const double days = base::Seconds(at - options_.peak) / base::Seconds(kDay);
  const double middle = (options_.most_share + options_.least_share) / 2;
  const double swing = (options_.most_share - options_.least_share) / 2;
  return middle + swing * std::cos(2 * std::numbers::pi * days);
}

// Of devices that are on for `mean_up` each time, so many are on: share = up / (up + down).
Duration Availability::Down(Duration at) {
  if (options_.kind == Kind::kExponential) return RandomWait(rng_, options_.mean_down);
  const double share = std::clamp(ShareAt(at), 1e-3, 1.0);
  const double mean = base::Seconds(options_.mean_up) * (1 - share) / share;
  return RandomWait(rng_, Duration(static_cast<int64_t>(mean * 1e9)));
}

std::optional<Stretch> Availability::Next() {
  const bool first = std::exchange(first_, false);
  switch (options_.kind) {
    case Kind::kAlways:
      return first ? std::optional(Stretch{Duration(0), kForEver}) : std::nullopt;
    case Kind::kTrace:
      return next_ < options_.up.size() ? std::optional(options_.up[next_++]) : std::nullopt;
    case Kind::kExponential:
    case Kind::kDiurnal:
      break;
  }
  const bool starts_on =
      first && (options_.kind == Kind::kExponential || rng_.NextUniform() < ShareAt(at_));
  const Duration from = starts_on ? at_ : at_ + std::max(kLeast, Down(at_));
  at_ = from + std::max(kLeast, RandomWait(rng_, options_.mean_up));
  return Stretch{from, at_};
}

std::vector<Stretch> UpStretches(const AvailabilityOptions& options, uint64_t seed, int device,
                                 Duration until) {
  std::vector<Stretch> stretches;
  Availability availability(options, seed, device);
  while (const auto stretch = availability.Next()) {
    if (stretch->first >= until) break;
    stretches.emplace_back(stretch->first, std::min(stretch->second, until));
  }
  return stretches;
}

}  // namespace weft::sim
