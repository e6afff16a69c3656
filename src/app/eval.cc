// weft eval: a trained run against test data; or several, and what they say together.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "app/command.h"
#include "app/ensemble.h"
#include "app/evaluator.h"
#include "app/finished_run.h"
#include "app/threads.h"
#include "base/log.h"
#include "model/safetensors.h"

namespace weft::app {
namespace {

struct EvalFlags {
  std::vector<std::string> folders;
  FinishedRunFlags each;  // but for the folder
};

struct Measured {
  Evaluated figures;
  std::optional<Confusion> confusion;
  std::string weights_sha256;
};

struct Voted {
  std::vector<Measured> runs;  // without a confusion each
  VoteCount together;
};

Result<std::unique_ptr<Evaluator>> EvaluatorOf(const Subject& subject) {
  return Evaluator::Make(subject.graph, subject.dataset, subject.kernels,
                         static_cast<int>(Cores()));
}

Result<Measured> MeasureFigures(const Subject& subject, Evaluator& evaluator) {
  Measured measured;
  measured.weights_sha256 = model::WeightsDigest(subject.parameters);
  ASSIGN_OR_RETURN(measured.figures, evaluator.Evaluate(subject.parameters, 0));
  return measured;
}

Result<Measured> Measure(const FinishedRunFlags& flags) {
  ASSIGN_OR_RETURN(const Subject subject, OpenFinishedRun(flags));
  ASSIGN_OR_RETURN(const auto evaluator, EvaluatorOf(subject));
  ASSIGN_OR_RETURN(Measured measured, MeasureFigures(subject, *evaluator));
  ASSIGN_OR_RETURN(measured.confusion, evaluator->Confuse(subject.parameters));
  return measured;
}

Result<std::vector<Voter>> OpenVoters(const EvalFlags& flags) {
  std::vector<Voter> voters;
  for (const std::string& folder : flags.folders) {
    FinishedRunFlags run = flags.each;
    run.folder = folder;
    ASSIGN_OR_RETURN(Subject subject, OpenFinishedRun(run));
    voters.push_back({folder, std::move(subject), {}});
  }
  RETURN_IF_ERROR(CheckVoters(voters));
  return voters;
}

Result<Voted> MeasureTogether(const EvalFlags& flags) {
  ASSIGN_OR_RETURN(std::vector<Voter> voters, OpenVoters(flags));
  Voted voted;
  for (Voter& voter : voters) {
    ASSIGN_OR_RETURN(const auto evaluator, EvaluatorOf(voter.subject));
    ASSIGN_OR_RETURN(Measured measured, MeasureFigures(voter.subject, *evaluator));
    voted.runs.push_back(std::move(measured));
    ASSIGN_OR_RETURN(voter.logits, evaluator->Predict(voter.subject.parameters));
  }
  voted.together = CountVotes(voters);
  return voted;
}

// ---- for people

std::string Percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f}%", 100 * *share) : "-";
}

void PrintClasses(const Confusion& confusion) {
  std::printf("%-20s %8s %8s %10s\n", "class", "samples", "recall", "precision");
  for (int64_t label = 0; label < confusion.classes(); ++label) {
    std::printf("%-20s %8lld %8s %10s\n", confusion.name(label).c_str(),
                static_cast<long long>(confusion.samples(label)),
                Percent(confusion.Recall(label)).c_str(),
                Percent(confusion.Precision(label)).c_str());
  }
}

void PrintText(const Measured& measured) {
  std::printf("accuracy %.4f, loss %.4f over %lld samples\n", measured.figures.accuracy,
              measured.figures.loss, static_cast<long long>(measured.figures.samples));
  if (measured.confusion) PrintClasses(*measured.confusion);
}

void PrintText(const std::vector<std::string>& folders, const Voted& voted) {
  for (size_t i = 0; i < folders.size(); ++i) {
    std::printf("%s: accuracy %.4f, loss %.4f\n", folders[i].c_str(),
                voted.runs[i].figures.accuracy, voted.runs[i].figures.loss);
  }
  std::printf("majority vote of %zu: accuracy %.4f over %lld samples\n", folders.size(),
              voted.together.accuracy, static_cast<long long>(voted.together.samples));
  if (voted.together.confusion) PrintClasses(*voted.together.confusion);
}

// ---- for programs

nlohmann::ordered_json FiguresJson(const std::string& event, const Measured& measured) {
  return {{"event", event},
          {"samples", measured.figures.samples},
          {"test_loss", measured.figures.loss},
          {"test_accuracy", measured.figures.accuracy},
          {"weights_sha256", measured.weights_sha256}};
}

void PrintJson(const Measured& measured) {
  nlohmann::ordered_json json = FiguresJson("result", measured);
  if (measured.confusion) json["confusion"] = ToJson(*measured.confusion);
  PrintJsonLine(json);
}

void PrintJson(const std::vector<std::string>& folders, const Voted& voted) {
  for (size_t i = 0; i < folders.size(); ++i) {
    nlohmann::ordered_json json = FiguresJson("evaluation", voted.runs[i]);
    json["run"] = folders[i];
    PrintJsonLine(json);
  }
  nlohmann::ordered_json json = {{"event", "result"},
                                 {"runs", folders.size()},
                                 {"samples", voted.together.samples},
                                 {"test_accuracy", voted.together.accuracy}};
  if (voted.together.confusion) json["confusion"] = ToJson(*voted.together.confusion);
  PrintJsonLine(json);
}

int Failed(const Status& status) {
  base::LogError("{}", status.message());
  return ExitCodeOf(status);
}

int EvalOne(const FinishedRunFlags& flags, bool as_json) {
  const Result<Measured> result = Measure(flags);
  if (!result.ok()) return Failed(result.status());
  as_json ? PrintJson(*result) : PrintText(*result);
  return kExitOk;
}

int EvalTogether(const EvalFlags& flags, bool as_json) {
  if (!flags.each.weights.empty()) {
    base::LogError("--weights: got {} runs, want one", flags.folders.size());
    return kExitUsage;
  }
  const Result<Voted> result = MeasureTogether(flags);
  if (!result.ok()) return Failed(result.status());
  as_json ? PrintJson(flags.folders, *result) : PrintText(flags.folders, *result);
  return kExitOk;
}

int RunEval(const EvalFlags& flags, const CommonFlags& common) {
  if (flags.folders.size() > 1) return EvalTogether(flags, common.json);
  FinishedRunFlags run = flags.each;
  run.folder = flags.folders.front();
  return EvalOne(run, common.json);
}

}  // namespace

void AddEval(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  const auto flags = std::make_shared<EvalFlags>();
  CLI::App* app = program->add_subcommand("eval", "Measure a trained run on test data");
  app->add_option("RUN", flags->folders, "A run's folder; of several, a majority vote as well")
      ->required();
  app->add_option("--data", flags->each.data, "A data source (default: the job's data.test)");
  app->add_option("--weights", flags->each.weights, "Another safetensors file of the same model");
  app->add_flag("--train-split", flags->each.train_split, "The training split instead");
  commands->push_back({app, [flags, common] { return RunEval(*flags, *common); }});
}

}  // namespace weft::app
