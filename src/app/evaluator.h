#pragma once
// Evaluator: meets a model with the test data: mean loss and accuracy, and what it takes for what.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/confusion.h"
#include "app/job.h"
#include "app/run_event.h"
#include "base/status.h"
#include "data/batches.h"
#include "engine/engine.h"

namespace weft::app {

// Threads: one.
class Evaluator {
 public:
  // `dataset` is normalised as in training. Errors: those of the engine.
  static Result<std::unique_ptr<Evaluator>> Make(std::shared_ptr<const model::Graph> graph,
                                                 std::shared_ptr<const data::Dataset> dataset,
                                                 const std::string& kernels, int threads);

  // `parameters`: the flat vector. `epoch` goes into the result as it is.
  Result<Evaluated> Evaluate(std::span<const float> parameters, int64_t epoch);

  // Each sample's class against the likeliest one. Nothing if there are more than
  // kMostConfusionClasses. Errors: kInvalidArgument for a label the model has no class for, those
  // of the engine.
  Result<std::optional<Confusion>> Confuse(std::span<const float> parameters);

  // The logits of each sample, row by row: [samples * classes of the model]. Errors: those of the
  // engine.
  Result<std::vector<float>> Predict(std::span<const float> parameters);

 private:
  // `logits`: [samples of the batch * classes], gone after the call.
  using OnBatch = std::function<void(const data::Batch& batch, std::span<const float> logits)>;
  Status EachBatch(std::span<const float> parameters, const OnBatch& on_batch);

  Evaluator(std::unique_ptr<engine::Engine> engine, std::shared_ptr<const data::Dataset> dataset);

  std::unique_ptr<engine::Engine> engine_;
  std::shared_ptr<const data::Dataset> dataset_;
  data::BatchReader reader_;
};

}  // namespace weft::app
