#pragma once
// RunSetup: what `weft train` and `weft up` do alike: read the job, open or go on with a run
// folder, run coordinator and leader, and say how it ended.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/run_host.h"

namespace CLI {
class App;
}

namespace weft::app {

struct RunFlags {
  std::string job;                     // job file; may be empty with `resume`
  std::vector<std::string> overrides;  // --set
  std::string out;
  std::string resume;
  std::string listen;     // empty: workers of this process only
  bool has_links = true;  // false: all workers are in this process
  std::string token;
  int64_t start_workers = 1;
  std::string site;  // of this process
};

// JOB, --set, --out, --resume.
void AddRunFlags(CLI::App* app, RunFlags* flags);

// Runs to the end and returns the exit code. `with_host` is called once the host listens and
// returns what must live as long as the run (workers of this process), or why it cannot go on.
using WithHost = std::function<Result<std::shared_ptr<void>>(RunHost*, std::shared_ptr<const Job>)>;
int RunToEnd(const RunFlags& flags, const CommonFlags& common, const WithHost& with_host);

}  // namespace weft::app
