#pragma once
// Policy: sync or async, whichever is predicted to be sooner at the next loss target. This is what
// `auto` means.
//
// The time to a target is samples to it / samples a round * seconds a round. Seconds a round come
// from RoundTimes, corrected by what rounds really took. Samples to it come from LossTrend; async
// needs more of them: 1.5 times as many until both modes were tried, then more and more what was
// measured. docs/elastic.md has the equations.
// Source of the idea and of 1.5: Hao and Zhang 2021, EDDL.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "aggregate/options.h"
#include "cluster/loss_trend.h"
#include "cluster/policy_options.h"
#include "cluster/round_times.h"

namespace weft::cluster {

struct PolicyInput {
  std::span<const RoundDevice> devices;
  RoundTimes::Communication communication;
  int64_t samples_left = 0;  // to its end: the target where no fall of the loss is known
};

struct PolicyAnswer {
  aggregate::Mode mode = aggregate::Mode::kSync;  // kSync or kAsync
  bool switched = false;
  double sync_round_s = 0;  // predicted
  double async_round_s = 0;
  double more_epochs = 1;  // async's samples to a loss over sync's
  double target_loss = 0;  // 0: none, the end of the run
  double sync_s = 0;       // predicted to the target
  double async_s = 0;
  std::string why;  // one sentence
};

// Threads: one.
class Policy {
 public:
  // `mode`: kSync or kAsync, what the run starts with.
  explicit Policy(aggregate::Mode mode, PolicyOptions options = {});

  aggregate::Mode mode() const { return mode_; }
  // What devices do, in either mode.
  RoundTimes* times() { return &times_; }
  // A round of the present mode took so long, with communication. Above 0.
  void RoundTook(double seconds);
  // The mean training loss of the last round, after so many samples of the run, in the present
  // mode. Passed over unless there are more of them than before.
  void LossMeasured(int64_t samples, double loss);

  // Once a round, or less often. The answer's mode holds from then on.
  PolicyAnswer Evaluate(const PolicyInput& input);

 private:
  // What is known of a mode.
  struct Known {
    LossTrend trend;                   // since it was last switched to
    std::optional<LossFall> fall;      // the last one known
    double rounds_s = 0;               // measured since the last evaluation: sum
    int64_t rounds = 0;                // and number
    std::optional<double> correction;  // measured / predicted, smoothed; ln
  };

  // Async after sync or sync after async: ln(more epochs), and 1 / its variance.
  struct Trial {
    double more = 0;
    double weight = 0;
  };

  Known& known(aggregate::Mode mode);
  void Correct(double predicted_s, Known* known);
  void MeasureEpochs();
  double MoreEpochs() const;
  double SyncSamplesToTarget(const PolicyInput& input, PolicyAnswer* answer) const;
  void EndTrial();
  bool MaySwitch() const;
  void Decide(PolicyAnswer* answer);

  PolicyOptions options_;
  aggregate::Mode mode_;
  double async_worth_;      // of a sample of async, in samples of sync, as they are counted
  double progress_ = 0;     // of the run, in samples of sync
  double switched_at_ = 0;  // progress at the last switch
  int64_t samples_ = 0;     // of the run
  RoundTimes times_;
  std::array<Known, 2> known_;   // sync, async
  Trial tried_;                  // those that are over, together
  Trial trial_;                  // since the last switch
  int64_t rounds_ = 0;           // since the last switch
  int64_t better_in_a_row_ = 0;  // evaluations by which the other mode is
};

}  // namespace weft::cluster
