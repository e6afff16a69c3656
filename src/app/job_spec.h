#pragma once
// JobSpecOf: what of a job the state machines of cluster/ must know.

#include "app/job.h"
#include "cluster/job_spec.h"

namespace weft::app {

struct JobSpecExtras {
  std::string run;    // id
  std::string token;  // of workers
  int64_t start_workers = 1;
  bool feed_samples = false;  // the store feeds workers, which then need no data
};
engine::OptimizerOptions OptimizerOf(const config::OptimizerOptions& optimizer);
cluster::JobSpec JobSpecOf(const Job& job, const JobSpecExtras& extras);

}  // namespace weft::app
