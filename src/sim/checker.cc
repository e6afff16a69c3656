#include "sim/checker.h"

#include <fmt/format.h>

namespace weft::sim {

void Checker::Violate(TimePoint now, std::string_view what) {
  if (violations_.size() >= kMostKept) return;
  violations_.push_back(fmt::format("{:.3f} s: {}", base::Seconds(now - TimePoint{}), what));
}

std::vector<std::unique_ptr<Checker>> AllCheckers(const cluster::JobSpec& spec,
                                                  Duration most_between_steps) {
  std::vector<std::unique_ptr<Checker>> all;
  all.push_back(MakeExactlyOnceChecker(spec));
  all.push_back(MakeAtMostOnceChecker(spec));
  all.push_back(MakeSurvivalChecker(spec));
  all.push_back(MakeGradientMassChecker(spec));
  all.push_back(MakeAppliedSumChecker(spec));
  all.push_back(MakeTermChecker(spec));
  all.push_back(MakeBoundsChecker(spec));
  all.push_back(MakeLocalityChecker(spec));
  all.push_back(MakeProgressChecker(spec, most_between_steps));
  return all;
}

std::vector<std::string> ViolationsOf(const std::vector<std::unique_ptr<Checker>>& checkers) {
  std::vector<std::string> all;
  for (const auto& checker : checkers) {
    for (const std::string& violation : checker->violations()) {
      all.push_back(fmt::format("{}: {}", checker->name(), violation));
    }
  }
  return all;
}

}  // namespace weft::sim
