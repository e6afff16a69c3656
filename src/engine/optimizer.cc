#include "engine/optimizer.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "kernel/update.h"

namespace weft::engine {
namespace {

std::vector<OptimizerState::Moment> ZeroMoments(const OptimizerOptions& options, size_t n) {
  const std::vector<float> zeros(n);
  if (options.kind == OptimizerOptions::Kind::kAdamw) {
    return {{"first_moment", zeros}, {"second_moment", zeros}};
  }
  if (options.momentum != 0) return {{"velocity", zeros}};
  return {};
}

}  // namespace

std::vector<std::string> OptimizerNames() { return {"sgd", "adamw"}; }

Result<OptimizerOptions::Kind> OptimizerFromName(const std::string& name) {
  if (name == "sgd") return OptimizerOptions::Kind::kSgd;
  if (name == "adamw") return OptimizerOptions::Kind::kAdamw;
  const std::vector<std::string> names = OptimizerNames();
  const auto near = base::DidYouMean(name, names);
  return base::InvalidArgument(fmt::format("optimizer: got \"{}\", want {}{}", name,
                                           base::JoinChoices(names),
                                           near ? "; did you mean \"" + *near + "\"?" : ""));
}

Optimizer::Optimizer(const OptimizerOptions& options, int64_t trainable,
                     std::vector<StatisticStretch> statistics)
    : options_(options),
      trainable_(static_cast<size_t>(trainable)),
      size_(trainable),
      statistics_(std::move(statistics)) {
  CHECK(trainable >= 0);
  for (const StatisticStretch& stretch : statistics_) {
    CHECK_EQ(stretch.begin, size_) << "the statistics must follow each other";
    CHECK(stretch.count >= 0);
    size_ += stretch.count;
  }
  state_.moments = ZeroMoments(options_, trainable_);
}

void Optimizer::Apply(double lr, std::span<const float> combined, std::span<float> parameters) {
  CHECK_EQ(static_cast<int64_t>(combined.size()), size_);
  CHECK_EQ(static_cast<int64_t>(parameters.size()), size_);
  ++state_.steps;
  const auto gradient = combined.first(trainable_);
  const auto weights = parameters.first(trainable_);
  auto& moments = state_.moments;
  if (options_.kind == OptimizerOptions::Kind::kAdamw) {
    const kernel::AdamwOptions adamw{.lr = static_cast<float>(lr),
                                     .beta1 = static_cast<float>(options_.beta1),
                                     .beta2 = static_cast<float>(options_.beta2),
                                     .eps = static_cast<float>(options_.eps),
                                     .weight_decay = static_cast<float>(options_.weight_decay),
                                     .step = state_.steps};
    kernel::AdamwUpdate(adamw, gradient, weights, moments[0].values, moments[1].values);
  } else {
    const kernel::SgdOptions sgd{.lr = static_cast<float>(lr),
                                 .momentum = static_cast<float>(options_.momentum),
                                 .weight_decay = static_cast<float>(options_.weight_decay),
                                 .nesterov = options_.nesterov};
    kernel::SgdUpdate(sgd, gradient, weights,
                      moments.empty() ? std::span<float>() : std::span(moments[0].values));
  }
  for (const StatisticStretch& stretch : statistics_) {
    const auto begin = static_cast<size_t>(stretch.begin);
    const auto count = static_cast<size_t>(stretch.count);
    const auto running = parameters.subspan(begin, count);
    kernel::Scale(static_cast<float>(1 - stretch.momentum), running);
    kernel::Axpy(static_cast<float>(stretch.momentum), combined.subspan(begin, count), running);
  }
}

Status Optimizer::Restore(OptimizerState state) {
  if (state.steps < 0) {
    return base::DataLoss(fmt::format("optimizer steps: got {}, want 0 or more", state.steps));
  }
  if (state.moments.size() != state_.moments.size()) {
    return base::DataLoss(fmt::format("optimizer state: got {} vectors, want {}",
                                      state.moments.size(), state_.moments.size()));
  }
  for (size_t i = 0; i < state.moments.size(); ++i) {
    const auto& [name, values] = state.moments[i];
    if (name != state_.moments[i].name || values.size() != trainable_) {
      return base::DataLoss(fmt::format("optimizer state: got {} of {} values, want {} of {}", name,
                                        values.size(), state_.moments[i].name, trainable_));
    }
  }
  state_ = std::move(state);
  return OkStatus();
}

}  // namespace weft::engine
