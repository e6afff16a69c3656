#pragma once
// A finished run: its folder read back for eval and predict: its model, its parameters, its way of
// preparing data.

#include <memory>
#include <string>
#include <vector>

#include "app/job.h"
#include "base/status.h"

namespace weft::app {

struct FinishedRunFlags {
  std::string folder;
  std::string weights;  // a safetensors file instead of the folder's model.safetensors
  std::string data;     // a source instead of the job's
  bool train_split = false;
};

// A test data set with the model to meet it.
struct Subject {
  std::shared_ptr<const model::Graph> graph;
  std::shared_ptr<const data::Dataset> dataset;  // prepared as in training, without augmentation
  std::vector<float> parameters;
  std::string kernels;
};

// Errors: kNotFound or kDataLoss for a folder without run.json or model; kInvalidArgument if there
// is no test data and none was named; those of OpenJob.
Result<Subject> OpenFinishedRun(const FinishedRunFlags& flags);

// Name of the copy of the model file that a run keeps in its folder.
std::string RunModelFile(const config::RunConfig& config);

}  // namespace weft::app
