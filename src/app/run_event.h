#pragma once
// What the face of the program shows and records beside the events of cluster/event.h: the look at
// the test data, which app itself takes, and how a run ended.

#include <cstdint>
#include <string>

namespace weft::app {

// The model has met the test data.
struct Evaluated {
  int64_t epoch = 0;  // after this epoch
  int64_t samples = 0;
  double loss = 0;      // mean
  double accuracy = 0;  // 0..1
};

struct RunResult {
  std::string outcome;  // "completed", "target reached", "stopped" or "failed"
  std::string problem;  // why it failed, else empty
  std::string run;
  int64_t epochs = 0;  // that ended
  int64_t steps = 0;
  int64_t samples = 0;  // applied since this start
  double seconds = 0;
  double samples_per_second = 0;
  double train_loss = 0;      // of the last epoch
  double test_loss = 0;       // meaningful if test_accuracy is
  double test_accuracy = -1;  // below 0: there was no test data
  int64_t lost_samples = 0;
  int64_t duplicated_samples = 0;
  int64_t up_bytes = 0;    // that came from the devices over their connections to this process,
  int64_t down_bytes = 0;  // and that went to them
  std::string weights_sha256;
  std::string folder;
  std::string model;   // path of model.safetensors
  std::string report;  // path of report.html
};

}  // namespace weft::app
