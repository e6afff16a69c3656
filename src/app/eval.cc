// weft eval: a trained run against test data.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/command.h"
#include "app/evaluator.h"
#include "app/finished_run.h"
#include "app/threads.h"
#include "base/log.h"
#include "model/safetensors.h"

namespace weft::app {
namespace {

struct Measured {
  Evaluated figures;
  std::optional<Confusion> confusion;
  std::string weights_sha256;
};

Result<Measured> Measure(const FinishedRunFlags& flags) {
  ASSIGN_OR_RETURN(const Subject subject, OpenFinishedRun(flags));
  ASSIGN_OR_RETURN(
      const auto evaluator,
      Evaluator::Make(subject.graph, subject.dataset, subject.kernels, static_cast<int>(Cores())));
  Measured measured;
  measured.weights_sha256 = model::WeightsDigest(subject.parameters);
  ASSIGN_OR_RETURN(measured.figures, evaluator->Evaluate(subject.parameters, 0));
  ASSIGN_OR_RETURN(measured.confusion, evaluator->Confuse(subject.parameters));
  return measured;
}

std::string Percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f}%", 100 * *share) : "-";
}

void PrintText(const Measured& measured) {
  std::printf("accuracy %.4f, loss %.4f over %lld samples\n", measured.figures.accuracy,
              measured.figures.loss, static_cast<long long>(measured.figures.samples));
  if (!measured.confusion) return;
  std::printf("%-20s %8s %8s %10s\n", "class", "samples", "recall", "precision");
  for (int64_t label = 0; label < measured.confusion->classes(); ++label) {
    std::printf("%-20s %8lld %8s %10s\n", measured.confusion->name(label).c_str(),
                static_cast<long long>(measured.confusion->samples(label)),
                Percent(measured.confusion->Recall(label)).c_str(),
                Percent(measured.confusion->Precision(label)).c_str());
  }
}

void PrintJson(const Measured& measured) {
  nlohmann::ordered_json json = {{"event", "result"},
                                 {"samples", measured.figures.samples},
                                 {"test_loss", measured.figures.loss},
                                 {"test_accuracy", measured.figures.accuracy},
                                 {"weights_sha256", measured.weights_sha256}};
  if (measured.confusion) json["confusion"] = ToJson(*measured.confusion);
  PrintJsonLine(json);
}

int RunEval(const FinishedRunFlags& flags, const CommonFlags& common) {
  const Result<Measured> result = Measure(flags);
  if (!result.ok()) {
    base::LogError("{}", result.status().message());
    return ExitCodeOf(result.status());
  }
  if (common.json) {
    PrintJson(*result);
  } else {
    PrintText(*result);
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
