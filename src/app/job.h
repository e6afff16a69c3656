#pragma once
// Job: a config made real: data sets open, model checked against them, start parameters at hand.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "config/run_config.h"
#include "data/dataset.h"
#include "data/fed_dataset.h"
#include "data/sample_order.h"
#include "model/graph.h"

namespace weft::app {

struct Job {
  config::RunConfig config;  // normalisation measured and filled in
  // As it is stored; null if the job was opened without training data. What train reads it
  // normalises and augments.
  std::shared_ptr<const data::Dataset> source;
  std::shared_ptr<data::FedDataset> fed;  // the source, where the store feeds it; else null
  std::shared_ptr<const data::Dataset> train;
  data::SampleOrder order;                    // of train
  std::vector<int64_t> shard_samples;         // local placement: of each worker's; else empty
  std::shared_ptr<const data::Dataset> test;  // null: no evaluation
  std::shared_ptr<const model::Graph> graph;
  std::string model_text;  // the model file, for workers that have none

  // Samples of a step over all workers: the batch, as often as a worker makes local steps.
  int64_t samples_per_step() const;
  int64_t steps_per_epoch() const;
  // Of local steps on data that is the device's own, of which it may have little: a worker's part
  // of a batch.
  int64_t least_local_batch() const;
};

struct OpenJobOptions {
  bool train_data = true;
  bool test_data = true;
  bool test_split_is_train = false;  // data.test names the training split of its source
  std::string model_text{};          // instead of the config's model file or preset
  // Samples of this data set will be fed: no file of training data is read.
  std::optional<data::DataFacts> fed{};
};

// Errors: those of data::OpenDataset, data::MakePartition, model::LoadGraph and friends, annotated
// with the config's field; kInvalidArgument for fed samples whose normalisation is not given.
Result<std::shared_ptr<const Job>> OpenJob(const config::RunConfig& config,
                                           const OpenJobOptions& options);

// The flat vector a run starts from: model.init if given, else drawn from the seed.
// Errors: those of the file; kInvalidArgument if its tensors do not fit the graph.
Result<std::vector<float>> StartParameters(const Job& job);

// Reads a model.safetensors (or a checkpoint's weights) for a graph.
Result<std::vector<float>> LoadParameters(const model::Graph& graph, const std::string& path);

}  // namespace weft::app
