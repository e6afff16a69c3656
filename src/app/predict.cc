// weft predict: what a trained run makes of samples.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/finished_run.h"
#include "app/threads.h"
#include "base/log.h"
#include "data/batches.h"
#include "engine/engine.h"

namespace weft::app {
namespace {

struct PredictFlags {
  FinishedRunFlags run;
  int64_t first = 0;
  int64_t count = 10;
};

struct Prediction {
  int64_t sample = 0;
  int64_t predicted = 0;
  double probability = 0;  // softmax of the predicted class
  int64_t label = 0;
};

Prediction Read(std::span<const float> logits, int64_t sample, int32_t label) {
  const auto best = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - *best);
  return {sample, best - logits.begin(), 1 / sum, label};
}

Status Predict(const PredictFlags& flags, std::vector<Prediction>* predictions) {
  ASSIGN_OR_RETURN(const Subject subject, OpenFinishedRun(flags.run));
  const int64_t size = subject.dataset->size();
  if (flags.first >= size) {
    return InvalidArgument("--first: got " + std::to_string(flags.first) + ", want 0.." +
                           std::to_string(size - 1));
  }
  engine::EngineOptions options;
  options.threads = static_cast<int>(Cores());
  options.kernels = subject.kernels;
  ASSIGN_OR_RETURN(const auto engine, engine::Engine::Create(subject.graph, options));
  constexpr int64_t kBatch = 64;
  const int64_t end = std::min(size, flags.first + flags.count);
  data::Batch batch;
  const auto classes = static_cast<size_t>(subject.graph->classes());
  std::vector<float> logits;
  for (int64_t begin = flags.first; begin < end; begin += kBatch) {
    const int64_t n = std::min(kBatch, end - begin);
    data::ReadBatch(*subject.dataset, data::SampleOrder::Whole(0, size, false),
                    {.epoch = 0, .begin = begin, .count = n}, &batch);
    RETURN_IF_ERROR(engine->Prepare(plan::Mode::kPredict, n));
    engine->SetParameters(subject.parameters);
    logits.resize(static_cast<size_t>(n) * classes);
    RETURN_IF_ERROR(engine->Predict(batch, logits));
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(i);
      predictions->push_back(
          Read({logits.data() + at * classes, classes}, begin + i, batch.labels[at]));
    }
  }
  return OkStatus();
}

int RunPredict(const PredictFlags& flags, const CommonFlags& common) {
  std::vector<Prediction> predictions;
  if (const Status status = Predict(flags, &predictions); !status.ok()) {
    base::LogError("{}", status.message());
    return ExitCodeOf(status);
  }
  int64_t correct = 0;
  if (!common.json)
    std::printf("%8s %9s %12s %6s\n", "sample", "predicted", "probability", "label");
  for (const Prediction& p : predictions) {
    correct += p.predicted == p.label;
    if (common.json) {
      PrintJsonLine({{"event", "prediction"},
                     {"sample", p.sample},
                     {"predicted", p.predicted},
                     {"probability", p.probability},
                     {"label", p.label}});
    } else {
      std::printf("%8lld %9lld %12.4f %6lld\n", static_cast<long long>(p.sample),
                  static_cast<long long>(p.predicted), p.probability,
                  static_cast<long long>(p.label));
    }
  }
  if (common.json) {
    PrintJsonLine({{"event", "result"}, {"samples", predictions.size()}, {"correct", correct}});
  }
  return kExitOk;
}

}  // namespace

void AddPredict(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  const auto flags = std::make_shared<PredictFlags>();
  CLI::App* app = program->add_subcommand("predict", "Show what a trained run makes of samples");
  app->add_option("RUN", flags->run.folder, "A run's folder")->required();
  app->add_option("--data", flags->run.data, "A data source (default: the job's data.test)");
  app->add_option("--weights", flags->run.weights, "Another safetensors file of the same model");
  app->add_flag("--train-split", flags->run.train_split, "The training split instead");
  app->add_option("--first", flags->first, "First sample")->check(CLI::NonNegativeNumber);
  app->add_option("--count", flags->count, "How many samples")->check(CLI::PositiveNumber);
  commands->push_back({app, [flags, common] { return RunPredict(*flags, *common); }});
}

}  // namespace weft::app
