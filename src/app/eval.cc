// weft eval: a trained run against test data.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/evaluator.h"
#include "app/finished_run.h"
#include "app/threads.h"
#include "base/log.h"
#include "model/safetensors.h"

namespace weft::app {
namespace {

Result<Evaluated> Evaluate(const FinishedRunFlags& flags, std::string* digest) {
  ASSIGN_OR_RETURN(const Subject subject, OpenFinishedRun(flags));
  *digest = model::WeightsDigest(subject.parameters);
  ASSIGN_OR_RETURN(
      const auto evaluator,
      Evaluator::Make(subject.graph, subject.dataset, subject.kernels, static_cast<int>(Cores())));
  return evaluator->Evaluate(subject.parameters, 0);
}

int RunEval(const FinishedRunFlags& flags, const CommonFlags& common) {
  std::string digest;
  const Result<Evaluated> result = Evaluate(flags, &digest);
  if (!result.ok()) {
    base::LogError("{}", result.status().message());
    return ExitCodeOf(result.status());
  }
  if (common.json) {
    PrintJsonLine({{"event", "result"},
                   {"samples", result->samples},
                   {"test_loss", result->loss},
                   {"test_accuracy", result->accuracy},
                   {"weights_sha256", digest}});
  } else {
    std::printf("accuracy %.4f, loss %.4f over %lld samples\n", result->accuracy, result->loss,
                static_cast<long long>(result->samples));
  }
  return kExitOk;
}

}  // namespace

void AddEval(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  const auto flags = std::make_shared<FinishedRunFlags>();
  CLI::App* app = program->add_subcommand("eval", "Measure a trained run on test data");
  app->add_option("RUN", flags->folder, "A run's folder")->required();
  app->add_option("--data", flags->data, "A data source (default: the job's data.test)");
  app->add_option("--weights", flags->weights, "Another safetensors file of the same model");
  app->add_flag("--train-split", flags->train_split, "The training split instead");
  commands->push_back({app, [flags, common] { return RunEval(*flags, *common); }});
}

}  // namespace weft::app
