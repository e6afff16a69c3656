// weft sim: runs a scenario in virtual time, says what came of it, and whether that is what the
// scenario expects.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/evaluator.h"
#include "app/profile_device.h"
#include "app/sim_expect.h"
#include "app/sim_json.h"
#include "app/sim_page.h"
#include "app/sim_setup.h"
#include "app/sim_table.h"
#include "app/sim_timeline.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/text.h"
#include "config/scenario.h"
#include "sim/checker.h"

namespace weft::app {
namespace {

struct SimFlags {
  std::string file;
  std::vector<std::string> overrides;
  std::string profile;
  std::string out;
  std::string seeds;  // "A..B"
  int64_t seed = -1;  // below 0: the scenario's
  bool resolve = false;
};

// The accuracy after each epoch, where the coordinator's process has all parameters, and for --json
// a line an epoch.
class EpochScores : public sim::Observer {
 public:
  // evaluator: null where nothing is trained or tested.
  EpochScores(Evaluator* evaluator, uint64_t seed, bool prints)
      : evaluator_(evaluator), seed_(seed), prints_(prints) {}

  void OnEvent(TimePoint now, const cluster::Event& event) override {
    const auto* epoch = std::get_if<cluster::EpochDone>(&event);
    if (epoch == nullptr) return;
    done_ = *epoch;
    done_at_ = now;
  }

  // Nothing of the next epoch is applied yet.
  void OnHubRest(TimePoint, const cluster::Coordinator&, const cluster::Leader& leader) override {
    if (!done_) return;
    const cluster::EpochDone epoch = *std::exchange(done_, std::nullopt);
    if (evaluator_ != nullptr && !leader.parameters().empty()) {
      const auto evaluated = evaluator_->Evaluate(leader.parameters(), epoch.epoch);
      if (evaluated.ok()) accuracies_[epoch.epoch] = evaluated->accuracy;
    }
    if (prints_) Print(epoch);
  }

  void Fill(std::vector<sim::EpochResult>* epochs) const {
    for (sim::EpochResult& epoch : *epochs) {
      const auto it = accuracies_.find(epoch.epoch);
      if (it != accuracies_.end()) epoch.accuracy = it->second;
    }
  }

 private:
  void Print(const cluster::EpochDone& epoch) const {
    nlohmann::ordered_json line = {{"event", "epoch"},
                                   {"seed", seed_},
                                   {"seconds", base::Seconds(done_at_ - TimePoint{})},
                                   {"epoch", epoch.epoch},
                                   {"loss", epoch.loss},
                                   {"lost_samples", epoch.lost},
                                   {"duplicated_samples", epoch.duplicated}};
    const auto it = accuracies_.find(epoch.epoch);
    if (it != accuracies_.end()) line["accuracy"] = it->second;
    PrintJsonLine(line);
  }

  Evaluator* evaluator_;
  const uint64_t seed_;
  const bool prints_;
  std::optional<cluster::EpochDone> done_;  // and not looked at yet
  TimePoint done_at_;
  std::map<int64_t, double> accuracies_;  // by epoch
};

struct Outcome {
  sim::Result result;
  std::vector<Finding> findings;
  std::unique_ptr<Timeline> timeline;  // null unless it was wanted
};

std::string ModelText(const SimSetup& setup) {
  return fmt::format("{}, {} parameters", setup.job->graph->name(),
                     Grouped(setup.job->graph->parameter_count()));
}

// Null for a run that trains nothing, or has nothing to test with.
Result<std::unique_ptr<Evaluator>> EvaluatorFor(const SimSetup& setup) {
  if (setup.scenario.mode != "math" || setup.job->test == nullptr) {
    return std::unique_ptr<Evaluator>();
  }
  return Evaluator::Make(setup.job->graph, setup.job->test, setup.job->config.cluster.kernels, 1);
}

// The accuracy at the end.
Status Evaluate(const SimSetup& setup, std::span<const float> parameters, Evaluator* evaluator,
                sim::Result* result) {
  if (evaluator == nullptr || parameters.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const Evaluated evaluated,
                   evaluator->Evaluate(parameters, setup.job->config.job.epochs));
  result->accuracy = evaluated.accuracy;
  result->test_loss = evaluated.loss;
  return OkStatus();
}

Result<Outcome> RunSeed(const SimSetup& setup, uint64_t seed, const CommonFlags& common,
                        bool with_timeline) {
  const TimePoint start = base::SystemClock().Now();
  const sim::ClusterOptions options = OptionsFor(setup, seed);
  // Who watches must outlive the cluster.
  Outcome outcome;
  ASSIGN_OR_RETURN(const std::unique_ptr<Evaluator> evaluator, EvaluatorFor(setup));
  EpochScores scores(evaluator.get(), seed, common.json);
  const std::vector<std::unique_ptr<sim::Checker>> checkers = sim::AllCheckers(options.job);
  sim::Cluster cluster(options);
  cluster.loop().set_verbose(common.verbose);
  for (const auto& checker : checkers) cluster.Watch(checker.get());
  cluster.Watch(&scores);
  if (with_timeline) {
    std::vector<std::string> names;
    for (const sim::DeviceOptions& device : options.devices) names.push_back(device.name);
    outcome.timeline = std::make_unique<Timeline>(names);
    cluster.Watch(outcome.timeline.get());
  }
  cluster.Run(setup.scenario.limit);
  outcome.result = cluster.result();
  scores.Fill(&outcome.result.epochs);
  outcome.result.violations = sim::ViolationsOf(checkers);
  if (with_timeline) outcome.timeline->Finish(cluster.loop().now());
  RETURN_IF_ERROR(Evaluate(setup, cluster.parameters(), evaluator.get(), &outcome.result));
  outcome.result.wall_s = base::Seconds(base::SystemClock().Now() - start);
  outcome.findings = CheckExpectations(setup.scenario.expect, outcome.result);
  return outcome;
}

// For a shell: as it is, or between single quotes.
std::string Quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:%+";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// The command that runs this seed again.
std::string Replay(const SimFlags& flags, uint64_t seed) {
  std::string command = fmt::format("weft sim {} --seed {}", Quoted(flags.file), seed);
  for (const std::string& override : flags.overrides) command += " --set " + Quoted(override);
  if (!flags.profile.empty()) command += " --profile " + Quoted(flags.profile);
  return command;
}

nlohmann::ordered_json OutcomeJson(const char* event, const SimSetup& setup, const Outcome& outcome,
                                   const std::string& replay) {
  nlohmann::ordered_json json = {{"event", event},
                                 {"scenario", setup.scenario.name},
                                 {"mode", setup.scenario.mode},
                                 {"model", setup.job->graph->name()},
                                 {"parameters", setup.job->graph->parameter_count()}};
  json.update(ResultJson(outcome.result));
  json["expected"] = FindingsJson(outcome.findings);
  json["ok"] = AllHold(outcome.findings);
  json["peak_rss_bytes"] = static_cast<int64_t>(ReadResidentMemory().peak);
  json["replay"] = replay;
  return json;
}

// The run's folder: report.html, result.json, scenario.json. Returns the path of the report.
Result<std::string> WriteFolder(const SimFlags& flags, const SimSetup& setup,
                                const Outcome& outcome) {
  base::FileSystem& disk = base::LocalFileSystem();
  RETURN_IF_ERROR(disk.MakeDirs(flags.out));
  const std::string replay = Replay(flags, outcome.result.seed);
  const auto write = [&](const char* name, const std::string& text) {
    return disk.WriteFileAtomic(base::JoinPath(flags.out, name), base::AsBytes(text));
  };
  RETURN_IF_ERROR(write("scenario.json", ScenarioJson(setup.scenario).dump(1) + "\n"));
  RETURN_IF_ERROR(
      write("result.json", OutcomeJson("result", setup, outcome, replay).dump(1) + "\n"));
  RETURN_IF_ERROR(write("report.html", SimPage({.scenario = setup.scenario,
                                                .model = ModelText(setup),
                                                .result = outcome.result,
                                                .findings = outcome.findings,
                                                .timeline = *outcome.timeline,
                                                .replay = replay})));
  return base::JoinPath(flags.out, "report.html");
}

int Fail(const Status& status) {
  base::LogError("{}", status.message());
  return ExitCodeOf(status);
}

// What a run that failed its expectations says last.
int ExitCodeAfter(const Outcome& outcome, const std::string& replay) {
  if (AllHold(outcome.findings)) return kExitOk;
  for (const Finding& finding : outcome.findings) {
    if (finding.ok) continue;
    base::LogError("expect.{}: got {}, want {}", finding.key, finding.got, finding.want);
  }
  base::LogError("again: {}", replay);
  return kExitFailure;
}

int RunOne(const SimFlags& flags, const SimSetup& setup, const CommonFlags& common) {
  const auto seed = static_cast<uint64_t>(setup.scenario.seed);
  const std::string replay = Replay(flags, seed);
  const Result<Outcome> outcome = RunSeed(setup, seed, common, !flags.out.empty());
  if (!outcome.ok()) return Fail(outcome.status());
  std::string report;
  if (!flags.out.empty()) {
    Result<std::string> written = WriteFolder(flags, setup, *outcome);
    if (!written.ok()) return Fail(written.status().Annotate("--out"));
    report = *written;
  }
  if (common.json) {
    nlohmann::ordered_json json = OutcomeJson("result", setup, *outcome, replay);
    if (!report.empty()) json["report"] = report;
    PrintJsonLine(json);
  } else {
    const std::string table =
        ResultTable(setup.scenario, ModelText(setup), outcome->result, outcome->findings);
    std::fputs(table.c_str(), stdout);
    if (!report.empty()) std::printf("  %-12s %s\n", "report", report.c_str());
    std::fflush(stdout);
  }
  return ExitCodeAfter(*outcome, replay);
}

// The result line of several runs.
void PrintSummary(const SimSetup& setup, const std::vector<sim::Result>& results,
                  const std::vector<uint64_t>& failed, const CommonFlags& common) {
  const std::vector<Spread> spreads = Spreads(results);
  if (!common.json) {
    std::printf("%zu runs, %zu failed\n%s", results.size(), failed.size(),
                SpreadTable(spreads).c_str());
    return;
  }
  nlohmann::ordered_json summary = nlohmann::ordered_json::object();
  for (const Spread& spread : spreads) {
    summary[spread.figure] = {{"min", spread.min}, {"median", spread.median}, {"max", spread.max}};
  }
  PrintJsonLine({{"event", "result"},
                 {"scenario", setup.scenario.name},
                 {"runs", results.size()},
                 {"failed_seeds", failed},
                 {"summary", std::move(summary)},
                 {"ok", failed.empty()}});
}

int RunMany(const SimFlags& flags, const SimSetup& setup, uint64_t first, uint64_t last,
            const CommonFlags& common) {
  std::vector<sim::Result> results;
  std::vector<uint64_t> failed;
  for (uint64_t seed = first; seed <= last; ++seed) {
    Result<Outcome> outcome = RunSeed(setup, seed, common, false);
    if (!outcome.ok()) return Fail(outcome.status());
    if (!AllHold(outcome->findings)) failed.push_back(seed);
    if (common.json) {
      PrintJsonLine(OutcomeJson("run", setup, *outcome, Replay(flags, seed)));
    } else {
      std::fputs(ResultLine(outcome->result, outcome->findings).c_str(), stdout);
      std::fflush(stdout);
    }
    results.push_back(std::move(outcome->result));
  }
  PrintSummary(setup, results, failed, common);
  for (const uint64_t seed : failed) base::LogError("again: {}", Replay(flags, seed));
  return failed.empty() ? kExitOk : kExitFailure;
}

// "3..17"
std::optional<std::pair<uint64_t, uint64_t>> ParseSeeds(std::string_view text) {
  const size_t dots = text.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const auto number = [](std::string_view word) -> std::optional<uint64_t> {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return value;
  };
  const auto first = number(text.substr(0, dots)), last = number(text.substr(dots + 2));
  if (!first || !last || *first > *last || *last >= uint64_t{1} << 53) return std::nullopt;
  return std::pair(*first, *last);
}

int RunSim(const SimFlags& flags, const CommonFlags& common) {
  const auto seeds = ParseSeeds(flags.seeds);
  if (!flags.seeds.empty() && !seeds) {
    base::LogError("--seeds: got {}, want A..B such as 1..20", flags.seeds);
    return kExitUsage;
  }
  if (seeds && (flags.seed >= 0 || !flags.out.empty() || flags.resolve)) {
    base::LogError("--seeds: want no --seed, --out or --resolve beside it");
    return kExitUsage;
  }
  Result<config::Scenario> scenario = config::LoadScenario(flags.file, flags.overrides);
  if (!scenario.ok()) return Fail(scenario.status());
  if (flags.seed >= 0) scenario->seed = flags.seed;
  if (flags.resolve) {
    const nlohmann::ordered_json json = ScenarioJson(*scenario);
    if (common.json) {
      PrintJsonLine(json);
    } else {
      std::printf("%s\n", json.dump(2).c_str());
    }
    return kExitOk;
  }
  const Result<SimSetup> setup = SetUpSimulation(std::move(scenario).value(), flags.profile);
  if (!setup.ok()) return Fail(setup.status());
  if (seeds) return RunMany(flags, *setup, seeds->first, seeds->second, common);
  return RunOne(flags, *setup, common);
}

}  // namespace

void AddSim(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  const auto flags = std::make_shared<SimFlags>();
  CLI::App* app = program->add_subcommand("sim", "Run a scenario's cluster in virtual time");
  app->add_option("FILE", flags->file, "The scenario, a TOML or JSON file (see docs/scenario.md)")
      ->required();
  app->add_option("--seed", flags->seed, "Of all chance in the run (default: the scenario's)")
      ->check(CLI::Range(int64_t{0}, (int64_t{1} << 53) - 1));
  app->add_option("--seeds", flags->seeds, "Run each seed of A..B: a line each and a summary");
  app->add_option("--set", flags->overrides, "Change one key: table.key=value")
      ->allow_extra_args(false);
  app->add_option("--profile", flags->profile,
                  "A file of `weft profile`, for devices that name none");
  app->add_option("--out", flags->out, "Folder for report.html, result.json and scenario.json");
  app->add_flag("--resolve", flags->resolve,
                "Print the scenario with every default and draw filled in, and run nothing");
  commands->push_back({app, [flags, common] { return RunSim(*flags, *common); }});
}

}  // namespace weft::app
