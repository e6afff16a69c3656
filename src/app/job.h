#pragma once
// Job: a config made real: data sets open, model checked against them, start parameters at hand.

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "config/run_config.h"
#include "data/dataset.h"
#include "model/graph.h"

namespace weft::app {

struct Job {
  config::RunConfig config;  // normalisation measured and filled in
  std::shared_ptr<const data::Dataset> train;
  std::shared_ptr<const data::Dataset> test;  // null: no evaluation
  std::shared_ptr<const model::Graph> graph;
  std::string model_text;  // the model file, for workers that have none

  int64_t steps_per_epoch() const;
};

struct OpenJobOptions {
  bool train_data = true;
  bool test_data = true;
  bool test_split_is_train = false;  // data.test names the training split of its source
  std::string model_text;            // instead of the config's model file or preset
};

// Errors: those of data::OpenDataset, model::LoadGraph and friends, annotated with the config's
// field.
Result<std::shared_ptr<const Job>> OpenJob(const config::RunConfig& config,
                                           const OpenJobOptions& options);

// The flat vector a run starts from: model.init if given, else drawn from the seed.
// Errors: those of the file; kInvalidArgument if its tensors do not fit the graph.
Result<std::vector<float>> StartParameters(const Job& job);

// Reads a model.safetensors (or a checkpoint's weights) for a graph.
Result<std::vector<float>> LoadParameters(const model::Graph& graph, const std::string& path);

}  // namespace weft::app
