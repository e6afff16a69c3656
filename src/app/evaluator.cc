#include "app/evaluator.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::app {
namespace {

constexpr int64_t kBatch = 100;

data::BatchRange RangeAt(int64_t begin, int64_t size) {
  return {.epoch = 0, .begin = begin, .count = std::min(kBatch, size - begin)};
}

data::SampleOrder InOrder(const data::Dataset& dataset) {
  return data::SampleOrder::Whole(0, dataset.size(), false);
}

}  // namespace

Evaluator::Evaluator(std::unique_ptr<engine::Engine> engine,
                     std::shared_ptr<const data::Dataset> dataset)
    : engine_(std::move(engine)),
      dataset_(std::move(dataset)),
      reader_(dataset_.get(), {.order = InOrder(*dataset_)}) {}

Result<std::unique_ptr<Evaluator>> Evaluator::Make(std::shared_ptr<const model::Graph> graph,
                                                   std::shared_ptr<const data::Dataset> dataset,
                                                   const std::string& kernels, int threads) {
  engine::EngineOptions options;
  options.threads = threads;
  options.kernels = kernels;
  ASSIGN_OR_RETURN(auto engine, engine::Engine::Create(std::move(graph), options));
  return std::unique_ptr<Evaluator>(new Evaluator(std::move(engine), std::move(dataset)));
}

Result<Evaluated> Evaluator::Evaluate(std::span<const float> parameters, int64_t epoch) {
  const int64_t size = dataset_->size();
  RETURN_IF_ERROR(engine_->Prepare(plan::Mode::kEvaluate, RangeAt(0, size).count));
  engine_->SetParameters(parameters);
  double loss_sum = 0;
  int64_t correct = 0;
  for (int64_t begin = 0; begin < size; begin += kBatch) {
    if (begin + kBatch < size) reader_.Prefetch(RangeAt(begin + kBatch, size));
    data::Batch batch = reader_.Get(RangeAt(begin, size));
    ASSIGN_OR_RETURN(const engine::StepResult part, engine_->Evaluate(batch));
    reader_.Recycle(std::move(batch));
    loss_sum += part.loss_sum;
    correct += part.correct;
  }
  Evaluated result;
  result.epoch = epoch;
  result.samples = size;
  result.loss = loss_sum / static_cast<double>(size);
  result.accuracy = static_cast<double>(correct) / static_cast<double>(size);
  return result;
}

Status Evaluator::EachBatch(std::span<const float> parameters, const OnBatch& on_batch) {
  const auto classes = static_cast<size_t>(engine_->graph().classes());
  const int64_t size = dataset_->size();
  RETURN_IF_ERROR(engine_->Prepare(plan::Mode::kPredict, RangeAt(0, size).count));
  engine_->SetParameters(parameters);
  std::vector<float> logits(classes * static_cast<size_t>(kBatch));
  data::Batch batch;
  for (int64_t begin = 0; begin < size; begin += kBatch) {
    data::ReadBatch(*dataset_, InOrder(*dataset_), RangeAt(begin, size), &batch);
    const auto part = std::span(logits).first(static_cast<size_t>(batch.size) * classes);
    RETURN_IF_ERROR(engine_->Predict(batch, part));
    on_batch(batch, part);
  }
  return OkStatus();
}

Result<std::vector<float>> Evaluator::Predict(std::span<const float> parameters) {
  std::vector<float> all;
  RETURN_IF_ERROR(EachBatch(parameters, [&](const data::Batch&, std::span<const float> logits) {
    all.insert(all.end(), logits.begin(), logits.end());
  }));
  return all;
}

Result<std::optional<Confusion>> Evaluator::Confuse(std::span<const float> parameters) {
  const int64_t known = engine_->graph().classes();
  if (known > kMostConfusionClasses) return std::optional<Confusion>();
  if (dataset_->classes() > known) {
    return InvalidArgument(fmt::format("the data: got {} classes, want at most the model's {}",
                                       dataset_->classes(), known));
  }
  Confusion confusion(known, dataset_->class_names());
  const auto count = [&](const data::Batch& batch, std::span<const float> logits) {
    for (size_t i = 0; i < static_cast<size_t>(batch.size); ++i) {
      const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i) * known;
      confusion.Add(batch.labels[i], std::max_element(row, row + known) - row);
    }
  };
  RETURN_IF_ERROR(EachBatch(parameters, count));
  return std::optional<Confusion>(std::move(confusion));
}

}  // namespace weft::app
