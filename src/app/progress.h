#pragma once
// ProgressView: shows a run while it goes on. One interface, four members: bars that redraw
// themselves on a terminal, plain lines for logs, JSON lines for programs, and none (--quiet).

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "app/progress_state.h"
#include "app/run_event.h"
#include "app/terminal.h"
#include "base/clock.h"
#include "cluster/event.h"

namespace weft::app {

// Threads: one for the calls; log messages may come from any.
class ProgressView {
 public:
  virtual ~ProgressView() = default;
  virtual void Show(TimePoint now, const cluster::Event& event) = 0;
  virtual void Show(TimePoint now, const Evaluated& test) = 0;
  // To be called about ten times a second, so that a frame that came too early is drawn after all.
  virtual void Tick(TimePoint now) = 0;
  // The end. JSON: the result line; otherwise a few lines on how it went and where things lie.
  virtual void Finish(TimePoint now, const RunResult& result) = 0;
};

enum class ProgressStyle { kBars, kPlain, kJson, kQuiet };

// JSON if asked for; bars need a terminal a person looks at.
ProgressStyle ChooseStyle(bool json, bool quiet, const Terminal& terminal);

struct ProgressOptions {
  bool json = false;
  bool quiet = false;
  int64_t epochs = 0;
  int64_t steps_per_epoch = 0;
};
// The view of this process: JSON on stdout, else what suits its standard error. It counts from now.
std::unique_ptr<ProgressView> MakeProgressView(const ProgressOptions& options);

// The members, one a file. Bars take over the log (base::SetLogSink) while they live, so that
// messages do not run through them.
std::unique_ptr<ProgressView> MakeBars(const ProgressFacts& facts, Terminal terminal);
std::unique_ptr<ProgressView> MakePlainLines(const ProgressFacts& facts, Terminal terminal);
std::unique_ptr<ProgressView> MakeJsonLines(
    TimePoint started, std::function<void(const nlohmann::ordered_json&)> put_json);
std::unique_ptr<ProgressView> MakeQuiet();

// The lines for people that end a run.
std::string SummaryText(const RunResult& result);

}  // namespace weft::app
