#include "plan/link_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "plan/update_size.h"

namespace weft::plan {
namespace {

using codec::Target;
using codec::ValueKind;

constexpr double kFirstDensity = 0.25;
constexpr double kLatencyShare = 0.5;  // of the budget, from which on local steps come first
constexpr double kSlowerShare = 0.5;   // of the budget, that a step may take longer than it must
constexpr double kBearable = 1.25;     // of what is allowed, for a choice that is held
constexpr double kRoomy = 0.5;         // of the budget, for one to go back to
// Encoding an update and decoding another, on one core near 3 GHz.
constexpr double kPlainSecondsPerValue = 2e-9;      // fp32 and fp16
constexpr double kQuantisedSecondsPerValue = 6e-9;  // the others

double Seconds(double bytes, double bytes_per_second) {
  return bytes_per_second > 0 ? bytes / bytes_per_second : 0;
}

// From the least lossy to the fewest bytes.
std::vector<Target> TargetsInOrder(double least_density) {
  std::vector<Target> targets;
  for (const ValueKind kind : {ValueKind::kFloat32, ValueKind::kFloat16, ValueKind::kInt8,
                               ValueKind::kInt4, ValueKind::kInt2}) {
    targets.push_back({.density = 1, .values = kind});
  }
  if (least_density >= 1) return targets;
  for (double density = kFirstDensity; density > least_density; density /= 2) {
    targets.push_back({.density = density, .values = ValueKind::kInt2});
  }
  targets.push_back({.density = least_density, .values = ValueKind::kInt2});
  return targets;
}

std::vector<int64_t> LocalStepsInOrder(int64_t most) {
  std::vector<int64_t> steps;
  for (int64_t count = 1; count < most; count *= 2) steps.push_back(count);
  steps.push_back(std::max<int64_t>(1, most));
  return steps;
}

double EncodingSeconds(const Target& target, int64_t values) {
  const bool plain = target.density >= 1 &&
                     (target.values == ValueKind::kFloat32 || target.values == ValueKind::kFloat16);
  return static_cast<double>(values) * (plain ? kPlainSecondsPerValue : kQuantisedSecondsPerValue);
}

// One rate stands for the other as long as that is not known.
LinkProfile Completed(LinkProfile link) {
  if (link.up_bytes_per_second <= 0) link.up_bytes_per_second = link.down_bytes_per_second;
  if (link.down_bytes_per_second <= 0) link.down_bytes_per_second = link.up_bytes_per_second;
  return link;
}

bool Known(const LinkProfile& link, const LinkLoad& load) {
  return Completed(link).up_bytes_per_second > 0 && load.compute_seconds > 0;
}

LinkChoice UnknownChoice() {
  LinkChoice choice;
  choice.words = DescribeTarget(choice.target) + ": the link is not known yet";
  return choice;
}

// The choices that a known link has, in order.
class Choices {
 public:
  Choices(const LinkProfile& link, const LinkLoad& load, const LinkLimits& limits)
      : round_trip_s_(link.round_trip_seconds), limits_(limits) {
    CHECK(limits.budget > 0 && limits.least_density > 0);
    std::vector<Exchanged> targets;
    for (const Target& target : TargetsInOrder(limits.least_density)) {
      targets.push_back(ExchangeOf(target, Completed(link), load));
    }
    for (const int64_t local_steps : LocalStepsInOrder(limits.most_local_steps)) {
      for (const Exchanged& exchanged : targets) Add(exchanged, local_steps, load.compute_seconds);
    }
  }

  bool Fits(size_t i, double share) const {
    const LinkChoice& choice = choices_[i];
    return choice.exchange_seconds <= share * limits_.budget * choice.compute_seconds;
  }

  // Index of the first that fits so much of the budget, in its turn; or of one that is as fast.
  std::optional<size_t> FirstWithin(double share) const {
    for (size_t i = 0; i < choices_.size(); ++i) {
      if (Fits(i, share) && InTurn(i, share)) return FirstAsFast(i);
    }
    return std::nullopt;
  }

  size_t First() const {
    const std::optional<size_t> within = FirstWithin(1);
    if (within) return *within;
    const double fastest = *std::min_element(step_s_.begin(), step_s_.end());
    size_t i = 0;
    while (step_s_[i] > (1 + kSlowerShare * limits_.budget) * fastest) ++i;
    return i;
  }

  bool Bearable(size_t i) const {
    if (Fits(i, kBearable)) return true;
    const size_t first = First();
    const double longer = kBearable * kSlowerShare * limits_.budget;
    return !Fits(first, 1) && step_s_[i] <= (1 + longer) * step_s_[first];
  }

  std::optional<size_t> IndexOf(const LinkChoice& held) const {
    for (size_t i = 0; i < choices_.size(); ++i) {
      const bool same = choices_[i].local_steps == held.local_steps;
      if (same && choices_[i].target == held.target) return i;
    }
    return std::nullopt;
  }

  LinkChoice At(size_t i) const {
    LinkChoice choice = choices_[i];
    choice.fits = Fits(i, 1);
    choice.words = DescribeTarget(choice.target);
    if (choice.local_steps > 1) choice.words += fmt::format(", every {} steps", choice.local_steps);
    choice.words += fmt::format(": {:.3g} % of computing",
                                100 * choice.exchange_seconds / choice.compute_seconds);
    if (!choice.fits) {
      choice.words += fmt::format(", above the budget of {:.3g} %", 100 * limits_.budget);
    }
    return choice;
  }

 private:
  struct Exchanged {
    Target target;
    double exchange_s = 0;
    double encoding_s = 0;
    double total() const { return exchange_s + encoding_s; }
  };

  Exchanged ExchangeOf(const Target& target, const LinkProfile& link, const LinkLoad& load) const {
    const double bytes = UpdateBytes(target, load.values, load.tensors);
    const Exchange exchange = {.up_bytes = bytes,
                               .down_bytes = load.down_bytes.value_or(bytes),
                               .overlapped = load.overlapped};
    return {.target = target,
            .exchange_s = ExchangeSeconds(link, exchange),
            .encoding_s = EncodingSeconds(target, load.values)};
  }

  void Add(const Exchanged& exchanged, int64_t local_steps, double compute_s) {
    const auto steps = static_cast<double>(local_steps);
    choices_.push_back({.target = exchanged.target,
                        .local_steps = local_steps,
                        .known = true,
                        .exchange_seconds = exchanged.exchange_s,
                        .compute_seconds = steps * compute_s});
    step_s_.push_back(compute_s + exchanged.total() / steps);
  }

  // Of those with as many local steps.
  size_t FirstAsFast(size_t i) const {
    for (size_t before = 0; before < i; ++before) {
      const bool same = choices_[before].local_steps == choices_[i].local_steps;
      if (same && step_s_[before] <= step_s_[i]) return before;
    }
    return i;
  }

  // Not one of low density while the round trip takes much and local steps could be more.
  bool InTurn(size_t i, double share) const {
    const LinkChoice& choice = choices_[i];
    if (choice.target.density >= 1) return true;
    if (choice.local_steps == choices_.back().local_steps) return true;
    return round_trip_s_ <= kLatencyShare * share * limits_.budget * choice.compute_seconds;
  }

  double round_trip_s_;
  LinkLimits limits_;
  std::vector<LinkChoice> choices_;
  std::vector<double> step_s_;  // of a local step with its part of the exchange, one a choice
};

}  // namespace

double ExchangeSeconds(const LinkProfile& link, const Exchange& exchange) {
  const double up = Seconds(exchange.up_bytes, link.up_bytes_per_second);
  const double down = Seconds(exchange.down_bytes, link.down_bytes_per_second);
  return link.round_trip_seconds + (exchange.overlapped ? std::max(up, down) : up + down);
}

LinkChoice ChooseLink(const LinkProfile& link, const LinkLoad& load, const LinkLimits& limits) {
  if (!Known(link, load)) return UnknownChoice();
  const Choices choices(link, load, limits);
  return choices.At(choices.First());
}

LinkChoice ChooseLinkAgain(const LinkChoice& held, const LinkProfile& link, const LinkLoad& load,
                           const LinkLimits& limits) {
  if (!held.known) return ChooseLink(link, load, limits);
  if (!Known(link, load)) return held;
  const Choices choices(link, load, limits);
  const std::optional<size_t> now = choices.IndexOf(held);
  if (!now || !choices.Bearable(*now)) return choices.At(choices.First());
  const std::optional<size_t> roomy = choices.FirstWithin(kRoomy);
  return choices.At(roomy ? std::min(*now, *roomy) : *now);
}

std::string DescribeTarget(const Target& target) {
  const std::string_view kind = codec::ValueKindName(target.values);
  if (target.density >= 1) return fmt::format("all values as {}", kind);
  return fmt::format("{:.3g} % of the values as {}", 100 * target.density, kind);
}

}  // namespace weft::plan
