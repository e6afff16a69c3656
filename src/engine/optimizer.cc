#include "engine/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/text.h"
#include "kernel/update.h"

namespace weft::engine {
namespace {

std::vector<OptimizerState::Moment> ZeroMoments(const OptimizerOptions& options, size_t n) {
  const std::vector<float> zeros(n);
  switch (StateVectors(options)) {
    case 0:
      return {};
    case 1:
      return {{"velocity", zeros}};
    default:
      return {{"first_moment", zeros}, {"second_moment", zeros}};
  }
}

// The share of the way that running statistics go to what was measured.
double StatisticShare(double momentum, double fraction) {
  return fraction == 1 ? momentum : 1 - std::pow(1 - momentum, fraction);
}

// Of gradients that carry momentum: in the end each moves the weights by 1 / (1 - momentum) of
// itself, and so must what decays them.
PartialStep PartWithMomentum(OptimizerOptions options, double lr, double fraction) {
  options.weight_decay /= 1 - options.momentum;
  options.momentum = 0;
  options.nesterov = false;
  return {options, lr * fraction};
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

size_t StateVectors(const OptimizerOptions& options) {
  if (options.kind == OptimizerOptions::Kind::kAdamw) return 2;
  return options.momentum != 0 ? 1 : 0;
}

void UpdateStretch(const OptimizerOptions& options, double lr, int64_t step,
                   std::span<const float> gradient, std::span<float> weights,
                   std::span<float> first, std::span<float> second, int threads) {
  if (options.kind == OptimizerOptions::Kind::kAdamw) {
    const kernel::AdamwOptions adamw{.lr = static_cast<float>(lr),
                                     .beta1 = static_cast<float>(options.beta1),
                                     .beta2 = static_cast<float>(options.beta2),
                                     .eps = static_cast<float>(options.eps),
                                     .weight_decay = static_cast<float>(options.weight_decay),
                                     .step = step};
    kernel::AdamwUpdate(adamw, gradient, weights, first, second, threads);
  } else {
    const kernel::SgdOptions sgd{.lr = static_cast<float>(lr),
                                 .momentum = static_cast<float>(options.momentum),
                                 .weight_decay = static_cast<float>(options.weight_decay),
                                 .nesterov = options.nesterov};
    kernel::SgdUpdate(sgd, gradient, weights, first, threads);
  }
}

double MomentumOf(const OptimizerOptions& options) {
  return options.kind == OptimizerOptions::Kind::kSgd ? options.momentum : 0;
}

PartialStep PartOfStep(const OptimizerOptions& options, double lr, double fraction) {
  CHECK(fraction > 0);
  if (fraction == 1) return {options, lr};
  PartialStep part{options, lr * fraction};
  part.options.beta1 = std::pow(options.beta1, fraction);
  part.options.beta2 = std::pow(options.beta2, fraction);
  if (options.kind == OptimizerOptions::Kind::kSgd && options.momentum != 0) {
    part.options.momentum = std::pow(options.momentum, fraction);
    part.lr *= (1 - part.options.momentum) / (1 - options.momentum);
  }
  return part;
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

void Optimizer::Apply(double lr, std::span<const float> combined, std::span<float> parameters,
                      const Portion& portion) {
  const double fraction = portion.fraction;
  CHECK_EQ(static_cast<int64_t>(combined.size()), size_);
  CHECK_EQ(static_cast<int64_t>(parameters.size()), size_);
  batches_ += fraction;
  state_.steps = static_cast<int64_t>(std::ceil(batches_));
  const PartialStep part = portion.has_momentum && MomentumOf(options_) > 0
                               ? PartWithMomentum(options_, lr, fraction)
                               : PartOfStep(options_, lr, fraction);
  // AdamW takes beta^step for what is left of the start; of beta^fraction that many steps.
  const int64_t step = std::max<int64_t>(std::llround(batches_ / fraction), 1);
  const auto gradient = combined.first(trainable_);
  const auto weights = parameters.first(trainable_);
  const auto moment = [&](size_t i) {
    return i < state_.moments.size() ? std::span(state_.moments[i].values) : std::span<float>();
  };
  const bool fades = part.options.momentum == 0 && MomentumOf(options_) > 0;
  if (fades) {
    kernel::Scale(static_cast<float>(std::pow(options_.momentum, fraction)), moment(0));
    UpdateStretch(part.options, part.lr, step, gradient, weights, {}, {});
  } else {
    UpdateStretch(part.options, part.lr, step, gradient, weights, moment(0), moment(1));
  }
  for (const StatisticStretch& stretch : statistics_) {
    const auto begin = static_cast<size_t>(stretch.begin);
    const auto count = static_cast<size_t>(stretch.count);
    const auto running = parameters.subspan(begin, count);
    const double share = StatisticShare(stretch.momentum, fraction);
    kernel::Scale(static_cast<float>(1 - share), running);
    kernel::Axpy(static_cast<float>(share), combined.subspan(begin, count), running);
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
  batches_ = static_cast<double>(state_.steps);
  return OkStatus();
}

}  // namespace weft::engine
