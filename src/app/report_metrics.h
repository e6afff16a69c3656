#pragma once
// ReportMetrics: what metrics.jsonl says of a run, for the curves and the table of devices of its
// report.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::app {

struct ReportMetrics {
  struct Point {
    double step = 0;  // steps done
    double value = 0;
  };
  std::vector<Point> step_loss;       // of training, each step
  std::vector<Point> train_accuracy;  // each epoch
  std::vector<Point> test_loss;       // each evaluation
  std::vector<Point> test_accuracy;

  struct Device {
    int64_t id = 0;
    std::string name;
    int64_t samples = 0;
    int64_t steps = 0;   // it took part in
    int64_t joined = 0;  // times
  };
  std::vector<Device> devices;  // by id
};

// `text`: lines of JSON as event_log.h writes them. What a later start of the run took back counts
// for nothing; a line that is damaged, as the last one of a killed run may be, is passed over.
ReportMetrics ReadReportMetrics(std::string_view text);

}  // namespace weft::app
