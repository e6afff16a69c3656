#include "app/run_setup.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/event_log.h"
#include "app/finished_run.h"
#include "app/report.h"
#include "app/signals.h"
#include "app/threads.h"
#include "app/version.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/text.h"
#include "model/safetensors.h"
#include "net/sqlite_store.h"

namespace weft::app {
namespace {

struct Setup {
  std::shared_ptr<const Job> job;
  std::unique_ptr<RunFolder> folder;
  std::unique_ptr<cluster::CheckpointFolder> checkpoints;
  std::unique_ptr<cluster::CoordStore> store;
  cluster::Snapshot start;
};

// "tiny-20260131-123456-9f3c": sorts by time, differs between runs of one second.
std::string NewRunId(const std::string& name) {
  std::string time = base::WallTimeUtc();
  std::erase_if(time, [](char c) { return c == '-' || c == ':' || c == 'Z'; });
  std::replace(time.begin(), time.end(), 'T', '-');
  return fmt::format("{}-{}-{:04x}", name, time, base::EntropySeed() & 0xFFFF);
}

// What may change between a run and its continuation.
config::RunConfig Comparable(config::RunConfig config) {
  config.job.epochs = 0;
  config.job.eval_every = 0;
  config.job.target_accuracy = 0;
  config.job.checkpoint_every = 0;
  config.job.out.clear();
  config.cut.memory_budget = {};
  config.cluster.heartbeat_ms = 0;
  config.cluster.device_timeout_ms = 0;
  config.cluster.leaders = 0;
  config.cluster.share_by_speed = false;
  return config;
}

Result<config::RunConfig> ReadConfig(const RunFlags& flags, const RunFolder* resumed) {
  if (!flags.job.empty()) return config::Load(flags.job, flags.overrides);
  CHECK(resumed != nullptr);
  const std::string name = resumed->path() + "/run.json";
  ASSIGN_OR_RETURN(base::Doc doc, base::ParseJson(resumed->record().config.ToJson(), name));
  for (const std::string& override : flags.overrides) {
    RETURN_IF_ERROR(base::ApplyOverride(override, &doc));
  }
  return config::FromDoc(doc, {.file = name, .folder = ""});
}

std::string ModelDigest(const Job& job) {
  return job.model_text.empty() ? "" : base::Sha256Hex(base::AsBytes(job.model_text));
}

Status OpenNew(const RunFlags& flags, Setup* setup) {
  ASSIGN_OR_RETURN(setup->start.parameters, StartParameters(*setup->job));
  RunRecord record;
  record.run = NewRunId(setup->job->config.job.name);
  record.program = ProgramName();
  record.config = setup->job->config;
  record.libraries = LibraryVersions();
  record.digests["config"] = record.config.Digest();
  if (!setup->job->model_text.empty()) {
    record.digests["model"] = ModelDigest(*setup->job);
  }
  record.started.push_back(base::WallTimeUtc());
  std::string path = !flags.out.empty() ? flags.out : setup->job->config.job.out;
  if (path.empty()) path = base::JoinPath("runs", record.run);
  base::FileSystem& disk = base::LocalFileSystem();
  ASSIGN_OR_RETURN(RunFolder folder, RunFolder::Create(&disk, path, std::move(record)));
  setup->folder = std::make_unique<RunFolder>(std::move(folder));
  if (!setup->job->model_text.empty()) {
    RETURN_IF_ERROR(disk.WriteFileAtomic(base::JoinPath(path, RunModelFile(setup->job->config)),
                                         base::AsBytes(setup->job->model_text)));
  }
  return OkStatus();
}

Status GoOn(Setup* setup) {
  const RunRecord& record = setup->folder->record();
  const auto model = record.digests.find("model");
  const bool same_model =
      ModelDigest(*setup->job) == (model == record.digests.end() ? "" : model->second);
  if (!same_model || !(Comparable(setup->job->config) == Comparable(record.config))) {
    return InvalidArgument(
        fmt::format("--resume {}: the job is not the one this run began with: leave the job file "
                    "out to take the run's own, "
                    "or start a new run",
                    setup->folder->path()));
  }
  ASSIGN_OR_RETURN(cluster::CheckpointFolder::Found found, setup->checkpoints->ReadLatest());
  for (const std::string& skipped : found.skipped) base::LogWarning("{}", skipped);
  setup->start = std::move(found.checkpoint.snapshot);
  setup->checkpoints->GoOnFrom(setup->start.step);
  base::LogInfo("going on from {} (step {})", found.path, setup->start.step);
  return OkStatus();
}

// Within one process nothing is slow that a codec could make faster.
void DropAuto(config::LinkOptions* link) {
  if (link->codec != "auto" && link->down_codec != "auto") return;
  base::LogInfo("link: the workers of one process have none, so \"auto\" is \"dense\"");
  const config::LinkOptions defaults;
  if (link->codec == "auto") {
    link->codec = "dense";
    link->density = 0;
    link->flush_updates = 0;
    link->most_local_steps = defaults.most_local_steps;
  }
  if (link->down_codec == "auto") {
    link->down_codec = "dense";
    link->down_density = 0;
  }
  link->budget = defaults.budget;
}

Result<Setup> Prepare(const RunFlags& flags) {
  Setup setup;
  if (!flags.resume.empty()) {
    ASSIGN_OR_RETURN(RunFolder folder,
                     RunFolder::Open(&base::LocalFileSystem(), flags.resume, base::WallTimeUtc()));
    setup.folder = std::make_unique<RunFolder>(std::move(folder));
  }
  ASSIGN_OR_RETURN(config::RunConfig config, ReadConfig(flags, setup.folder.get()));
  if (!flags.has_links) DropAuto(&config.link);
  OpenJobOptions open;
  if (flags.job.empty() && config.model.preset.empty()) {
    // The run's own copy: the file it came from may have changed or gone.
    const std::string copy = base::JoinPath(flags.resume, RunModelFile(config));
    ASSIGN_OR_RETURN(const Bytes model, base::LocalFileSystem().ReadFile(copy));
    open.model_text = base::AsText(model);
  }
  ASSIGN_OR_RETURN(setup.job, OpenJob(config, open));
  if (setup.folder == nullptr) RETURN_IF_ERROR(OpenNew(flags, &setup));
  setup.checkpoints = std::make_unique<cluster::CheckpointFolder>(&base::LocalFileSystem(),
                                                                  setup.folder->checkpoints_path());
  if (!flags.resume.empty()) RETURN_IF_ERROR(GoOn(&setup));
  setup.folder->AddStart(setup.start.step, base::WallTimeUtc());
  ASSIGN_OR_RETURN(setup.store, net::OpenSqliteStore(
                                    base::JoinPath(setup.folder->path(), "coordinator.db"), {}));
  return setup;
}

std::string OutcomeName(const cluster::RunDone& done) {
  using How = cluster::RunDone::How;
  switch (done.how) {
    case How::kCompleted:
      return "completed";
    case How::kStoppedEarly:
      return "target reached";
    case How::kDrained:
      return "stopped";
    case How::kFailed:
      return "failed";
  }
  return "failed";
}

int ExitCodeAfter(const cluster::RunDone& done) {
  if (done.how == cluster::RunDone::How::kFailed) return ExitCodeOf(done.status);
  if (done.how == cluster::RunDone::How::kDrained && SignalReceived() != 0) {
    return 128 + SignalReceived();
  }
  return kExitOk;
}

// report.html beside the rest; without it the run is no worse.
void WriteReport(const Setup& setup, const std::string& ended, RunHost::Outcome* outcome) {
  const Job& job = *setup.job;
  ReportInput input;
  input.record = setup.folder->record();
  input.result = outcome->result;
  input.ended = ended;
  input.parameters = job.graph->trainable_count();
  input.train_data = job.train->description();
  if (job.test != nullptr) {
    input.test_data = job.test->description();
    input.test_classes = job.test->classes();
  }
  input.speeds.insert(outcome->speeds.begin(), outcome->speeds.end());
  input.confusion = std::move(outcome->confusion);
  base::FileSystem& disk = base::LocalFileSystem();
  if (const auto metrics = disk.ReadFile(setup.folder->metrics_path()); metrics.ok()) {
    input.metrics = ReadReportMetrics(base::AsText(*metrics));
  }
  const std::string path = setup.folder->report_path();
  const Status saved = disk.WriteFileAtomic(path, base::AsBytes(ReportPage(input)));
  if (saved.ok()) {
    outcome->result.report = path;
  } else {
    base::LogWarning("no report: {}", saved.message());
  }
}

// Writes the model and the report, completes the result, tells everyone.
int Conclude(const Setup& setup, RunHost::Outcome outcome, ProgressView* view) {
  RunResult& result = outcome.result;
  result.outcome = OutcomeName(outcome.done);
  result.problem = outcome.done.status.ok() ? "" : outcome.done.status.message();
  result.run = setup.folder->record().run;
  result.folder = setup.folder->path();
  result.weights_sha256 = model::WeightsDigest(outcome.parameters);
  setup.folder->SetDigest("weights", result.weights_sha256);
  int code = ExitCodeAfter(outcome.done);
  if (outcome.done.how != cluster::RunDone::How::kFailed) {
    model::TensorFile file = model::PackParameters(*setup.job->graph, outcome.parameters);
    file.metadata["weft.run"] = result.run;
    result.model = setup.folder->model_path();
    const Status saved =
        base::LocalFileSystem().WriteFileAtomic(result.model, model::EncodeTensorFile(file));
    if (!saved.ok()) {
      base::LogError("the model could not be saved: {}", saved.message());
      code = ExitCodeOf(saved);
      result.model.clear();
    }
  }
  const std::string ended = base::WallTimeUtc();
  WriteReport(setup, ended, &outcome);
  setup.folder->Finish(result, ended);
  view->Finish(base::SystemClock().Now(), result);
  return code;
}

std::unique_ptr<ProgressView> MakeView(const Setup& setup, const CommonFlags& common) {
  return MakeProgressView({.json = common.json,
                           .quiet = common.quiet,
                           .epochs = setup.job->config.job.epochs,
                           .steps_per_epoch = setup.job->steps_per_epoch()});
}

int Fail(const Status& status) {
  base::LogError("{}", status.message());
  return ExitCodeOf(status);
}

}  // namespace

void AddRunFlags(CLI::App* app, RunFlags* flags) {
  app->add_option("JOB", flags->job, "The job, a TOML or JSON file (see docs/job.md)");
  app->add_option("--set", flags->overrides, "Change one key of the job: section.key=value")
      ->allow_extra_args(false);
  app->add_option("--out", flags->out, "The run's folder (default: runs/NAME-TIME)");
  app->add_option("--resume", flags->resume, "Go on with the run in this folder");
}

int RunToEnd(const RunFlags& flags, const CommonFlags& common, const WithHost& with_host) {
  if (flags.job.empty() && flags.resume.empty()) {
    base::LogError("want a JOB file, or --resume DIR");
    return kExitUsage;
  }
  CatchSignals();
  // The port first: a run that cannot listen leaves no folder behind.
  const Result<std::unique_ptr<RunHost>> host = RunHost::Listen(flags.listen);
  if (!host.ok()) return Fail(host.status());
  const Result<Setup> prepared = Prepare(flags);
  if (!prepared.ok()) return Fail(prepared.status());
  const Setup& setup = *prepared;
  const bool local = flags.listen.empty();
  const std::unique_ptr<ProgressView> view = MakeView(setup, common);
  RunHostOptions options;
  options.job = setup.job;
  options.token = flags.token;
  // Workers of this process come for certain, so the first step waits for them all.
  options.start_workers = local ? setup.job->config.cluster.workers : flags.start_workers;
  options.site = flags.site;
  options.feed_samples = setup.job->config.data.placement == "distributed";
  options.announce_waiting = !local;
  options.eval_threads = ThreadsFor(setup.job->config, 1);
  options.store = setup.store.get();
  options.view = view.get();
  options.folder = setup.folder.get();
  options.checkpoints = setup.checkpoints.get();
  options.start = setup.start;
  if (const Status opened = (*host)->Open(std::move(options)); !opened.ok()) return Fail(opened);
  const auto companions = with_host((*host).get(), setup.job);
  if (!companions.ok()) return Fail(companions.status());
  RunHost::Outcome outcome = (*host)->Run();
  // The views for people end with the problem; the others leave it to the log.
  if (!outcome.done.status.ok() && (common.json || common.quiet)) {
    base::LogError("{}", outcome.done.status.message());
  }
  return Conclude(setup, std::move(outcome), view.get());
}

}  // namespace weft::app
