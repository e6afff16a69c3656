#pragma once
// JobText: the job as it travels to a device (Welcome.job): the config as JSON and, where the store
// feeds the samples, a section [fed] with what a device must know of data that it does not hold.

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "cluster/sample_cache.h"
#include "config/run_config.h"
#include "data/fed_dataset.h"

namespace weft::app {

struct FedData {
  data::DataFacts facts;
  int64_t sample_bytes = 0;  // of one sample in a packet
  bool operator==(const FedData&) const = default;
};

struct JobText {
  config::RunConfig config;
  std::optional<FedData> fed;
};

// On one line.
std::string ToJson(const JobText& text);
// Errors: kInvalidArgument as config::FromJson, and for a [fed] that describes no data set.
Result<JobText> ReadJobText(const std::string& json, const std::string& name);

// What a device's SampleCache must know of the job, which must have [fed].
//   budget_bytes  of samples held; 0: no limit
cluster::SampleCacheOptions CacheOptions(const JobText& text, int64_t budget_bytes);

}  // namespace weft::app
