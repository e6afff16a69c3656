#include "app/sim_expect.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"

namespace weft::app {
namespace {

class Checker {
 public:
  void AtMost(const char* key, double got, double want) {
    Add(key, fmt::format("at most {:.6g}", want), fmt::format("{:.6g}", got), got <= want);
  }
  void AtLeast(const char* key, double got, double want) {
    Add(key, fmt::format("at least {:.6g}", want), fmt::format("{:.6g}", got), got >= want);
  }
  void Add(const char* key, std::string want, std::string got, bool ok) {
    findings_.push_back({key, std::move(want), std::move(got), ok});
  }
  std::vector<Finding> Take() { return std::move(findings_); }

 private:
  std::vector<Finding> findings_;
};

double SlowestEpoch(const sim::Result& result) {
  double slowest = 0;
  for (const sim::EpochResult& epoch : result.epochs) slowest = std::max(slowest, epoch.seconds);
  return slowest;
}

double RecomputedShare(const sim::Result& result) {
  return static_cast<double>(result.recomputed) /
         static_cast<double>(std::max<int64_t>(1, result.samples));
}

}  // namespace

double Utilisation(const sim::DeviceResult& device) {
  return device.up_s > 0 ? device.compute_s / device.up_s : 0;
}

double Utilisation(const sim::Result& result) {
  double up = 0, computing = 0;
  for (const sim::DeviceResult& device : result.devices) {
    up += device.up_s;
    computing += device.compute_s;
  }
  return up > 0 ? computing / up : 0;
}

std::vector<Finding> CheckExpectations(const config::Expectations& expect,
                                       const sim::Result& result) {
  Checker check;
  if (expect.completed) check.Add("completed", "true", result.outcome, result.completed);
  check.AtMost("lost", static_cast<double>(result.lost), static_cast<double>(expect.lost));
  check.AtMost("duplicated", static_cast<double>(result.duplicated),
               static_cast<double>(expect.duplicated));
  check.AtMost("max_violations", static_cast<double>(result.violations.size()),
               static_cast<double>(expect.max_violations));
  if (expect.max_virtual) {
    check.AtMost("max_virtual", result.virtual_s, base::Seconds(*expect.max_virtual));
  }
  if (expect.max_training) {
    check.AtMost("max_training", result.training_s, base::Seconds(*expect.max_training));
  }
  if (expect.max_epoch_seconds) {
    const bool any = !result.epochs.empty();
    check.Add("max_epoch_seconds", fmt::format("at most {:.6g}", *expect.max_epoch_seconds),
              any ? fmt::format("{:.6g}", SlowestEpoch(result)) : "no epoch ended",
              any && SlowestEpoch(result) <= *expect.max_epoch_seconds);
  }
  if (expect.min_samples_per_second) {
    check.AtLeast("min_samples_per_second", result.samples_per_second,
                  *expect.min_samples_per_second);
  }
  if (expect.min_utilisation) {
    check.AtLeast("min_utilisation", Utilisation(result), *expect.min_utilisation);
  }
  if (expect.max_recomputed_share) {
    check.AtMost("max_recomputed_share", RecomputedShare(result), *expect.max_recomputed_share);
  }
  const auto test = [&](const char* key, const char* word, double want,
                        const std::optional<double>& got, bool ok) {
    check.Add(key, fmt::format("{} {:.6g}", word, want),
              got ? fmt::format("{:.6g}", *got) : "none: the run did not end", ok);
  };
  if (expect.min_accuracy) {
    test("min_accuracy", "at least", *expect.min_accuracy, result.accuracy,
         result.accuracy && *result.accuracy >= *expect.min_accuracy);
  }
  if (expect.max_loss) {
    test("max_loss", "at most", *expect.max_loss, result.test_loss,
         result.test_loss && *result.test_loss <= *expect.max_loss);
  }
  return check.Take();
}

bool AllHold(const std::vector<Finding>& findings) {
  return std::all_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.ok; });
}

}  // namespace weft::app
