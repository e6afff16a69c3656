#pragma once
// ProgressState: the events of a run condensed to what a person wants to know now, and the lines
// that are worth keeping. It draws nothing.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/run_event.h"
#include "base/clock.h"
#include "cluster/event.h"

namespace weft::app {

// What is known of a run before it begins.
struct ProgressFacts {
  int64_t epochs = 0;
  int64_t steps_per_epoch = 0;
  TimePoint started = {};
};

class ProgressState {
 public:
  explicit ProgressState(const ProgressFacts& facts);

  // Returns lines for the record, oldest first: an epoch that ended, a device that left.
  std::vector<std::string> Handle(TimePoint now, const cluster::Event& event);
  std::vector<std::string> Handle(TimePoint now, const Evaluated& test);
  // Returns what was held back: an epoch's line waits for its evaluation.
  std::vector<std::string> Finish();

  struct Worker {
    std::string name;
    std::string state;  // "joined", "training" or "waiting"
    double samples_per_second = 0;
    double share = 0;  // of the last step's samples, 0..1
  };
  const std::map<cluster::DeviceId, Worker>& workers() const { return workers_; }
  // Set while the run stands still.
  const std::optional<cluster::WaitingForWorkers>& waiting() const { return waiting_; }

  int64_t epoch() const { return epoch_; }  // from 0
  int64_t epochs() const { return facts_.epochs; }
  double epoch_share() const;  // done, 0..1
  int64_t step() const { return step_; }
  bool has_steps() const { return total_steps_ > 0; }
  double loss() const;      // mean of the epoch so far
  double accuracy() const;  // likewise, on the training batches
  // Over the last seconds of training; 0: not known yet.
  double samples_per_second() const { return samples_per_second_; }
  // Until the last epoch's end at the present speed, evaluations not counted; nothing if unknown.
  std::optional<double> seconds_left() const;

 private:
  struct Sight {
    TimePoint at;
    int64_t steps = 0;
    int64_t samples = 0;
  };
  void OnStep(TimePoint now, const cluster::StepDone& step);
  void LookAtClock(TimePoint now);
  void PauseClock(TimePoint now);
  std::string EpochName(int64_t epoch) const;

  ProgressFacts facts_;
  int64_t epoch_ = 0;
  int64_t step_ = -1;  // the last one done, over the whole run
  // Since this process began.
  int64_t total_steps_ = 0;
  int64_t total_samples_ = 0;
  // Of the epoch, as far as this process saw it.
  int64_t epoch_samples_ = 0;
  double loss_sum_ = 0;
  int64_t correct_ = 0;
  TimePoint epoch_started_;
  std::deque<Sight> sights_;  // one in a while, over the last seconds
  double samples_per_second_ = 0;
  double steps_per_second_ = 0;
  std::map<cluster::DeviceId, Worker> workers_;
  std::optional<cluster::WaitingForWorkers> waiting_;
  std::vector<std::string> held_;  // an ended epoch's line
};

// "1,234,567"
std::string GroupDigits(double number);
// "0:42", "12:05", "1:02:03"
std::string CountdownText(double seconds);

}  // namespace weft::app
