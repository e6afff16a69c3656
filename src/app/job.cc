#include "app/job.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/doc.h"
#include "base/file_system.h"
#include "data/transform.h"
#include "model/safetensors.h"

namespace weft::app {
namespace {

using std::shared_ptr;
using std::unique_ptr;

data::Normalisation ToNormalisation(const config::Normalise& normalise) {
  data::Normalisation result;
  result.mean.assign(normalise.mean.begin(), normalise.mean.end());
  result.std.assign(normalise.std.begin(), normalise.std.end());
  return result;
}

Result<unique_ptr<data::Dataset>> OpenSplit(const config::RunConfig& config, bool train,
                                            bool train_split) {
  const std::string& source = train ? config.data.train : config.data.test;
  Result<unique_ptr<data::Dataset>> opened =
      data::OpenDataset({.source = source, .train = train_split});
  if (!opened.ok()) return opened.status().Annotate(train ? "data.train" : "data.test");
  unique_ptr<data::Dataset> dataset = std::move(opened).value();
  const int64_t limit = train ? config.data.limit : config.data.test_limit;
  if (limit > 0 && limit < dataset->size()) dataset = data::Limit(std::move(dataset), limit);
  return dataset;
}

Status CheckChannels(const config::Normalise& normalise, const data::Dataset& dataset) {
  const int axis = dataset.feature_axis();
  const auto channels = static_cast<size_t>(dataset.sample_shape()[axis]);
  if (normalise.mean.size() == channels) return OkStatus();
  return InvalidArgument(
      fmt::format("data.normalise.mean: got {} numbers, want one for each of the data's {} {}",
                  normalise.mean.size(), channels, axis == 0 ? "channels" : "coefficients"));
}

// Labels are places in the lists of classes.
Status CheckSameClasses(const data::Dataset& train, const data::Dataset& test) {
  const std::vector<std::string> got = test.class_names(), want = train.class_names();
  for (size_t i = 0; i < std::max(got.size(), want.size()); ++i) {
    const std::string got_name = i < got.size() ? got[i] : "none";
    const std::string want_name = i < want.size() ? want[i] : "none";
    if (got_name == want_name) continue;
    return InvalidArgument(fmt::format("data.test: class {}: got {}, want {} as data.train has", i,
                                       got_name, want_name));
  }
  return OkStatus();
}

Status CheckTimeShift(int64_t shift, const data::Dataset& dataset) {
  const int64_t frames = dataset.sample_shape()[1];
  if (shift < frames) return OkStatus();
  return InvalidArgument(fmt::format(
      "data.time_shift: got {}, want less than the {} frames of a sample", shift, frames));
}

// The training data as it is stored, here or elsewhere.
Status OpenSource(const config::RunConfig& config, const OpenJobOptions& options, Job* job) {
  if (options.fed) {
    if (config.data.normalise.on && config.data.normalise.mean.empty()) {
      return InvalidArgument("data.normalise: want mean and std where samples are fed");
    }
    job->source = job->fed = std::make_shared<data::FedDataset>(*options.fed);
    return OkStatus();
  }
  ASSIGN_OR_RETURN(job->source, OpenSplit(config, true, true));
  return OkStatus();
}

// With local placement the data set stands for those of the workers.
Status SetOrder(const config::RunConfig& config, Job* job) {
  const auto seed = static_cast<uint64_t>(config.job.seed);
  job->order = data::SampleOrder::Whole(seed, job->source->size());
  if (config.data.placement != "local") return OkStatus();
  const auto partition = [&]() -> Result<data::Partition> {
    ASSIGN_OR_RETURN(const auto parsed, data::ParsePartition(config.data.partition));
    return data::MakePartition(*job->source, parsed,
                               {.shards = config.cluster.workers, .seed = seed});
  }();
  if (!partition.ok()) return partition.status().Annotate("data");
  job->shard_samples = partition->sizes();
  job->order = data::SampleOrder::Sharded(seed, std::make_shared<data::Partition>(*partition));
  return OkStatus();
}

// What is trained on: the source, normalised and augmented.
Result<unique_ptr<data::Dataset>> Decorate(const config::RunConfig& config,
                                           const shared_ptr<const data::Dataset>& source) {
  unique_ptr<data::Dataset> train = data::Share(source);
  if (config.data.normalise.on) {
    RETURN_IF_ERROR(CheckChannels(config.data.normalise, *train));
    train = data::Normalise(std::move(train), ToNormalisation(config.data.normalise));
  }
  RETURN_IF_ERROR(CheckTimeShift(config.data.time_shift, *train));
  const data::AugmentOptions augment{.crop_pad = config.data.crop_pad,
                                     .flip = config.data.flip,
                                     .time_shift = config.data.time_shift,
                                     .time_mask = config.data.time_mask,
                                     .noise = config.data.noise};
  if (!(augment == data::AugmentOptions{})) train = data::Augment(std::move(train), augment);
  return train;
}

Result<model::Graph> OpenModel(const config::RunConfig& config, const model::GraphContext& context,
                               const std::string& given, std::string* text) {
  const config::ModelOptions& model = config.model;
  const std::string file = model.preset.empty() ? model.file : "preset " + model.preset;
  if (!given.empty()) {
    *text = given;
  } else if (model.preset.empty()) {
    Result<Bytes> bytes = base::LocalFileSystem().ReadFile(model.file);
    if (!bytes.ok()) return bytes.status().Annotate("model.file");
    *text = base::AsText(*bytes);
  }
  if (!model.preset.empty()) {
    Result<model::Graph> graph = model::LoadPreset(model.preset, context);
    if (!graph.ok()) return graph.status().Annotate("model.preset");
    return graph;
  }
  ASSIGN_OR_RETURN(const base::Doc doc, file.ends_with(".json") ? base::ParseJson(*text, file)
                                                                : base::ParseToml(*text, file));
  return model::GraphFromDoc(doc, file, context);
}

}  // namespace

int64_t Job::samples_per_step() const { return config.job.batch * config.cluster.local_steps; }

int64_t Job::steps_per_epoch() const {
  return (train->size() + samples_per_step() - 1) / samples_per_step();
}

int64_t Job::least_local_batch() const {
  if (shard_samples.empty()) return 1;
  return std::max<int64_t>(1, config.job.batch / std::ssize(shard_samples));
}

Result<shared_ptr<const Job>> OpenJob(const config::RunConfig& config,
                                      const OpenJobOptions& options) {
  auto job = std::make_shared<Job>();
  job->config = config;
  config::Normalise& normalise = job->config.data.normalise;
  model::GraphContext context;

  if (options.train_data || (normalise.on && normalise.mean.empty())) {
    RETURN_IF_ERROR(OpenSource(config, options, job.get()));
    context = {job->source->sample_shape(), job->source->classes()};
    if (normalise.on && normalise.mean.empty()) {
      const data::Normalisation measured = data::MeasureNormalisation(*job->source);
      normalise.mean.assign(measured.mean.begin(), measured.mean.end());
      normalise.std.assign(measured.std.begin(), measured.std.end());
    }
  }
  unique_ptr<data::Dataset> test;
  if (options.test_data && !config.data.test.empty()) {
    ASSIGN_OR_RETURN(test, OpenSplit(config, false, options.test_split_is_train));
    if (context.classes == 0) context = {test->sample_shape(), test->classes()};
    if (!(test->sample_shape() == context.input)) {
      return InvalidArgument(fmt::format("data.test: got samples of {}, want {} as data.train has",
                                         test->sample_shape().ToString(),
                                         context.input.ToString()));
    }
    if (job->source != nullptr) RETURN_IF_ERROR(CheckSameClasses(*job->source, *test));
    if (normalise.on) {
      RETURN_IF_ERROR(CheckChannels(normalise, *test));
      test = data::Normalise(std::move(test), ToNormalisation(normalise));
    }
    job->test = std::move(test);
  }
  if (options.train_data) {
    ASSIGN_OR_RETURN(job->train, Decorate(job->config, job->source));
    RETURN_IF_ERROR(SetOrder(config, job.get()));
  } else {
    job->source = nullptr;  // it was only measured
  }
  ASSIGN_OR_RETURN(model::Graph graph,
                   OpenModel(config, context, options.model_text, &job->model_text));
  job->graph = std::make_shared<const model::Graph>(std::move(graph));
  return shared_ptr<const Job>(std::move(job));
}

Result<std::vector<float>> LoadParameters(const model::Graph& graph, const std::string& path) {
  ASSIGN_OR_RETURN(const Bytes bytes, base::LocalFileSystem().ReadFile(path));
  const Result<model::TensorFile> file = model::DecodeTensorFile(bytes);
  if (!file.ok()) return file.status().Annotate(path);
  Result<std::vector<float>> parameters = model::UnpackParameters(graph, *file);
  if (!parameters.ok()) return parameters.status().Annotate(path);
  return parameters;
}

Result<std::vector<float>> StartParameters(const Job& job) {
  const std::string& init = job.config.model.init;
  if (init.empty()) {
    return job.graph->InitialParameters(static_cast<uint64_t>(job.config.job.seed));
  }
  Result<std::vector<float>> parameters = LoadParameters(*job.graph, init);
  if (!parameters.ok()) return parameters.status().Annotate("model.init");
  return parameters;
}

}  // namespace weft::app
