#pragma once
// Ensemble: several trained models asked about the same samples; the class that most of them name
// counts (aggregate/vote.h).

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/confusion.h"
#include "app/finished_run.h"
#include "base/status.h"

namespace weft::app {

// A run of an ensemble and what its model says of the samples.
struct Voter {
  std::string name;  // for messages
  Subject subject;
  std::vector<float> logits;  // [samples * classes of the model]
};

struct VoteCount {
  int64_t samples = 0;
  double accuracy = 0;
  std::optional<Confusion> confusion;  // none for more than kMostConfusionClasses
};

// Whether these can vote together: as many classes, and the same labels in the same order. How each
// prepares its samples may differ.
// Errors: kInvalidArgument names the first run that is unlike the first one.
Status CheckVoters(std::span<const Voter> voters);

// `voters`: at least one, CheckVoters'ed, with logits. Threads: any.
VoteCount CountVotes(std::span<const Voter> voters);

}  // namespace weft::app
