#include "app/finished_run.h"

#include "app/run_folder.h"
#include "base/file_system.h"

namespace weft::app {

std::string RunModelFile(const config::RunConfig& config) {
  return config.model.file.ends_with(".json") ? "model.json" : "model.toml";
}

Result<Subject> OpenFinishedRun(const FinishedRunFlags& flags) {
  base::FileSystem& disk = base::LocalFileSystem();
  ASSIGN_OR_RETURN(const RunRecord record, ReadRunRecord(&disk, flags.folder));
  config::RunConfig config = record.config;
  if (!flags.data.empty()) {
    config.data.test = flags.data;
    config.data.test_limit = 0;
  } else if (flags.train_split) {
    config.data.test = config.data.train;
    config.data.test_limit = config.data.limit;
  }
  if (config.data.test.empty()) {
    return InvalidArgument(flags.folder + ": the job names no data.test; want --data SOURCE");
  }
  OpenJobOptions options;
  options.train_data = false;
  options.test_split_is_train = flags.train_split;
  if (config.model.preset.empty()) {
    ASSIGN_OR_RETURN(const Bytes model,
                     disk.ReadFile(base::JoinPath(flags.folder, RunModelFile(config))));
    options.model_text = base::AsText(model);
  }
  ASSIGN_OR_RETURN(const auto job, OpenJob(config, options));
  Subject subject;
  subject.graph = job->graph;
  subject.dataset = job->test;
  subject.kernels = config.cluster.kernels;
  const std::string weights =
      flags.weights.empty() ? base::JoinPath(flags.folder, "model.safetensors") : flags.weights;
  ASSIGN_OR_RETURN(subject.parameters, LoadParameters(*job->graph, weights));
  return subject;
}

}  // namespace weft::app
