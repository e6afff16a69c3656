#pragma once
// PolicyOptions: when a run changes between sync and async by itself (policy.h).

#include <cstdint>

namespace weft::cluster {

struct PolicyOptions {
  double target = 0.9;       // of the present loss
  double more_epochs = 1.5;  // that async needs, before it is measured
  double better = 0.2;       // part of the time that a switch must save,
  int64_t in_a_row = 3;      // by so many evaluations
  // Rounds between two switches: at least; and for so many at most it waits for the losses that
  // tell what the switch brings.
  int64_t rounds_between = 5;
  int64_t rounds_for_losses = 16;
};

}  // namespace weft::cluster
