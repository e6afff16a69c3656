#include "engine/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/text.h"

namespace weft::engine {

std::vector<std::string> ScheduleNames() { return {"constant", "step", "cosine"}; }

Result<ScheduleOptions::Kind> ScheduleFromName(const std::string& name) {
  if (name == "constant") return ScheduleOptions::Kind::kConstant;
  if (name == "step") return ScheduleOptions::Kind::kStep;
  if (name == "cosine") return ScheduleOptions::Kind::kCosine;
  const std::vector<std::string> names = ScheduleNames();
  const auto near = base::DidYouMean(name, names);
  return base::InvalidArgument(fmt::format("schedule: got \"{}\", want {}{}", name,
                                           base::JoinChoices(names),
                                           near ? "; did you mean \"" + *near + "\"?" : ""));
}

double LearningRate(const ScheduleOptions& options, int64_t step, int64_t total_steps) {
  const int64_t warmup = options.warmup_steps;
  if (step < warmup) {
    return options.lr * static_cast<double>(step + 1) / static_cast<double>(warmup);
  }
  const int64_t after = step - warmup;
  const int64_t length = std::max<int64_t>(total_steps - warmup, 1);
  switch (options.kind) {
    case ScheduleOptions::Kind::kConstant:
      return options.lr;
    case ScheduleOptions::Kind::kStep: {
      const auto passed = std::count_if(options.decay_steps.begin(), options.decay_steps.end(),
                                        [&](int64_t at) { return at <= step; });
      return options.lr * std::pow(options.decay, static_cast<double>(passed));
    }
    case ScheduleOptions::Kind::kCosine: {
      const double part = static_cast<double>(after) / static_cast<double>(length);
      const double wave = 0.5 * (1 + std::cos(std::numbers::pi * std::min(part, 1.0)));
      return options.final_lr + (options.lr - options.final_lr) * wave;
    }
  }
  return options.lr;
}

}  // namespace weft::engine
