#pragma once
// Report: report.html of a run, one page that needs no other file and no script: what the run was,
// how it ended, curves, devices, and what the model takes for what.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "app/confusion.h"
#include "app/report_metrics.h"
#include "app/run_event.h"
#include "app/run_folder.h"

namespace weft::app {

struct ReportInput {
  RunRecord record;
  RunResult result;
  std::string ended;       // wall time
  int64_t parameters = 0;  // trained
  std::string train_data;  // in words
  std::string test_data;   // empty: none
  int64_t test_classes = 0;
  ReportMetrics metrics;
  std::map<int64_t, double> speeds;  // device to samples a second, where it was measured
  std::optional<Confusion> confusion;
};

// The page. All text in it is escaped; colours follow the reader's light or dark scheme.
std::string ReportPage(const ReportInput& input);

}  // namespace weft::app
