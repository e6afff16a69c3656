#pragma once
// JobSpecOf: what of a job the state machines of cluster/ must know.

#include <cstdint>
#include <string>
#include <vector>

#include "app/job.h"
#include "cluster/job_spec.h"

namespace weft::app {

struct JobSpecExtras {
  std::string run;    // id
  std::string token;  // of workers
  int64_t start_workers = 1;
  std::string site{};         // of the coordinator's process
  bool feed_samples = false;  // the store feeds workers, which then need no data
};

// Where stretches of the parameters begin, but the first, whose gradients are final at other times
// than those before them (plan/gradient_times.h, by FLOPs). None for a network that has no FLOPs.
std::vector<int64_t> StretchBeginsOf(const model::Graph& graph);

// The stretches of the flat vector that codecs tell apart, ascending; they tile it.
std::vector<codec::Tensor> TensorsOf(const model::Graph& graph);
// What the job says of updates, and of parameters.
codec::CodecOptions UpCodecOf(const Job& job);
codec::CodecOptions DownCodecOf(const Job& job);
// How updates are joined.
aggregate::Options AggregationOf(const config::RunConfig& config);
// cluster/job_spec.h
bool CorrectsMomentum(const Job& job);

engine::OptimizerOptions OptimizerOf(const config::OptimizerOptions& optimizer);
// Stretches are told apart where several devices may lead.
cluster::JobSpec JobSpecOf(const Job& job, const JobSpecExtras& extras);

}  // namespace weft::app
