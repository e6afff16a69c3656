#include "engine/local_steps.h"

#include <algorithm>
#include <cmath>

#include "plan/shares.h"

namespace weft::engine {
namespace {

// Samples [begin, begin + count) of `whole`; reuses the memory of `part`.
void Slice(const data::Batch& whole, int64_t begin, int64_t count, data::Batch* part) {
  const auto each = static_cast<int64_t>(whole.samples.size()) / whole.size;
  const auto copy = [&](const auto& from, int64_t width, auto* to) {
    const auto first = from.begin() + begin * width;
    to->assign(first, first + count * width);
  };
  part->size = count;
  copy(whole.samples, each, &part->samples);
  copy(whole.labels, 1, &part->labels);
  copy(whole.keys, 1, &part->keys);
}

// update: [n], in: the parameters at the end.
void Difference(const model::Graph& graph, int64_t steps, bool final_statistics,
                std::span<const float> start, std::span<float> update) {
  const auto trainable = static_cast<size_t>(graph.trainable_count());
  for (size_t i = 0; i < trainable; ++i) update[i] = start[i] - update[i];
  if (final_statistics) return;
  for (const model::Parameter& parameter : graph.parameters()) {
    if (parameter.trainable()) continue;
    const double weight = StatisticWeight(parameter.momentum, steps);
    if (weight == 0) continue;  // they stand still
    const auto begin = static_cast<size_t>(parameter.offset);
    const auto end = begin + static_cast<size_t>(parameter.shape.elements());
    for (size_t i = begin; i < end; ++i) {
      const double moved = static_cast<double>(update[i]) - static_cast<double>(start[i]);
      update[i] = static_cast<float>(static_cast<double>(start[i]) + moved / weight);
    }
  }
}

}  // namespace

double StatisticWeight(double momentum, int64_t steps) {
  return 1 - std::pow(1 - momentum, static_cast<double>(steps));
}

int64_t LocalStepsOf(const LocalOptions& options, int64_t samples) {
  const int64_t full = (samples + options.least - 1) / options.least;
  return std::clamp<int64_t>(options.steps, 1, std::max<int64_t>(full, 1));
}

Result<StepResult> TrainLocally(Engine* engine, const data::Batch& batch,
                                const LocalOptions& options, std::span<const float> start,
                                std::span<float> update) {
  const int64_t steps = LocalStepsOf(options, batch.size);
  const std::vector<int64_t> parts = plan::EqualShares(batch.size, steps);
  RETURN_IF_ERROR(engine->Prepare(plan::Mode::kTrainStreaming, parts[0]));
  engine->SetParameters(start);
  StepResult result;
  data::Batch part;
  int64_t begin = 0;
  for (const int64_t count : parts) {
    Slice(batch, begin, count, &part);
    ASSIGN_OR_RETURN(const StepResult step,
                     engine->TrainAndApply(part, options.optimizer, options.lr));
    result.loss_sum += step.loss_sum;
    result.correct += step.correct;
    result.samples += step.samples;
    begin += count;
  }
  engine->GetParameters(update);
  Difference(engine->graph(), steps, options.final_statistics, start, update);
  return result;
}

}  // namespace weft::engine
