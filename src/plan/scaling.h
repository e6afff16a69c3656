#pragma once
// Scaling: how much faster a cluster of equal devices trains than one of them, the network counted.
// Source of the measure, X on Y devices: Sudharsan et al. 2021. That a leader's link and processor
// carry all devices is our own addition.

#include <cstdint>

#include "plan/link_plan.h"

namespace weft::plan {

struct ScalingInput {
  int64_t devices = 1;  // Y
  // Of a step: the samples of all devices, and what each takes for its part of them. Both ways of
  // scaling are meant: where devices share a batch, compute_seconds falls as they are added
  // (strong); where each has its own, it stays, and samples grow (weak).
  double samples = 0;
  double compute_seconds = 0;           // above 0
  double alone_samples_per_second = 0;  // of one device that trains by itself, above 0
  int64_t local_steps = 1;              // between two exchanges
  Exchange exchange;                    // of one device
  LinkProfile device;                   // its link; a rate of 0: no limit
  LinkProfile leader;                   // which all share; the round trip is in the device's
  // Processor time of one exchange: of a device; of the leader for one device, and for all.
  double device_seconds = 0;
  double leader_seconds_per_device = 0;
  double leader_seconds = 0;
};

struct Scaling {
  double exchange_seconds = 0;  // T_c, and the processors' part
  double step_seconds = 0;      // of a local step, with its part of the exchange
  double speedup = 0;           // X: samples a second, against those of one device by itself
  double efficiency = 0;        // X / Y
  bool leader_bound = false;    // the leader takes longer for all than a device's link for one
};

// Of synchronous steps: nobody computes during an exchange. It takes what the slower one takes of a
// device's link, with its own bytes, and the leader, with those of all; of the leader, the slower
// of its link and its processor, as one works while the other does.
Scaling ScalingOf(const ScalingInput& input);

}  // namespace weft::plan
