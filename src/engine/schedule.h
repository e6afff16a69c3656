#pragma once
// The learning rate as a pure function of the step, so that a resumed run goes on as if it had
// never stopped.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace weft::engine {

struct ScheduleOptions {
  enum class Kind { kConstant, kStep, kCosine };
  Kind kind = Kind::kConstant;
  double lr = 0.01;                  // at the peak
  int64_t warmup_steps = 0;          // rises in equal parts to lr; step 0 has lr / warmup_steps
  std::vector<int64_t> decay_steps;  // kStep: the rate is multiplied by `decay` at each of them
  double decay = 0.1;
  double final_lr = 0;  // kCosine: where the half wave ends
};

// "constant", "step", "cosine".
std::vector<std::string> ScheduleNames();
// Errors: kInvalidArgument for an unknown name, with a did-you-mean.
Result<ScheduleOptions::Kind> ScheduleFromName(const std::string& name);

// The rate of step 0..total_steps-1. Cosine: Loshchilov and Hutter 2017, SGDR, equation 5, one
// period. Counted over all of the run's steps, not from a resume.
double LearningRate(const ScheduleOptions& options, int64_t step, int64_t total_steps);

}  // namespace weft::engine
