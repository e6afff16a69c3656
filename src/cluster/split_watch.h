#pragma once
// SplitWatch: what the times of steps say about who should lead (and likewise whether sites should
// send sums, where `flat` is that they do not): what of a step is not computing,
// whether enough is known to judge a split by, and whether one that was tried has paid.
//
// What a step takes beside computing is the exchange: bytes, and the leaders' work. The first step
// of a run is longer than it need be (devices open their data in it, and make their first plan), so
// of its exchange only the part counts that links explain.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace weft::cluster {

// Threads: one.
class SplitWatch {
 public:
  static constexpr size_t kSteps = 5;             // whose times are kept
  static constexpr size_t kFewestSteps = 2;       // beside the first, before their exchange counts
  static constexpr size_t kTrialSteps = 4;        // by which a split is judged,
  static constexpr double kTrialWorth = 0.95;     // if they take less than this part, it stays
  static constexpr int64_t kBetweenTrials = 200;  // steps, and twice as many after each that failed
  static constexpr int64_t kMostBetween = 200 * 64;

  // A step that nothing disturbed. `compute_s`: of the device that computed longest, as devices
  // measure it; 0: not known.
  struct Step {
    double seconds = 0;
    double compute_s = 0;
  };
  // `flat`: the coordinator's process led all, so no split is on trial.
  void Took(const Step& step, bool flat);

  size_t steps() const { return steps_.size(); }
  // Of the last step.
  bool computing_known() const { return !steps_.empty() && steps_.back().compute_s > 0; }
  // Median of computing where it is known, else of whole steps; 0: no step yet.
  double compute_s() const { return compute_s_; }
  // The least that a step took beside computing, and so no more than the exchange takes; with
  // `first`, also of the first step. None: not known.
  std::optional<double> exchange_s(bool first = false) const;

  // Leaders are others from now on: the exchange is another one.
  void Forget();
  // The same, for a split before this step, which is to be judged. `predicted_s`: the exchange
  // without it, as planned. After at least one step.
  void BeginTrial(int64_t step, double predicted_s);
  // True once if the split that was tried has not paid.
  bool Failed();
  bool on_trial() const { return trial_.has_value(); }
  bool MayTry(int64_t step) const { return step >= next_trial_; }

 private:
  struct Trial {
    double step_s = 0;                 // before
    std::optional<double> exchange_s;  // likewise
    int64_t step = 0;                  // the first one since
    std::vector<Step> since;
  };
  bool Paid(const Trial& trial) const;

  std::deque<Step> steps_;  // the last ones
  double compute_s_ = 0;
  bool begun_ = false;          // there was a step,
  bool first_is_here_ = false;  // and it is the first in steps_
  std::optional<Trial> trial_;
  int64_t next_trial_ = 0;  // step
  int64_t between_ = kBetweenTrials;
};

}  // namespace weft::cluster
