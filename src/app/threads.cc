#include "app/threads.h"

#include <sched.h>

#include <algorithm>

namespace weft::app {

int64_t Cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

int ThreadsFor(const config::RunConfig& config, int64_t workers) {
  if (config.cluster.threads > 0) return static_cast<int>(config.cluster.threads);
  if (config.job.deterministic) return 1;
  return static_cast<int>(std::max<int64_t>(1, Cores() / std::max<int64_t>(workers, 1)));
}

}  // namespace weft::app
