#pragma once
// LeaderCosts: what the work of a leader takes of the processor of its process. What concerns a
// range takes the range's share of what the whole vector does.

#include <cstdint>

#include "cluster/action.h"
#include "cluster/message.h"
#include "sim/options.h"

namespace weft::sim {

// Seconds at speed 1. Neglected: what updates cost by their number and not by their bytes, putting
// stretches of other leaders together, and the parts of a checkpoint.
class LeaderCosts {
 public:
  LeaderCosts(const LeaderOptions& options, int64_t parameter_count)
      : options_(options), parameter_count_(static_cast<double>(parameter_count)) {}

  // To take a message and, if it holds a gradient, to decode it and add it up.
  double Receive(const cluster::Message& message) const;
  // To apply what it had led to when `heard` made the leader ask for `actions`; 0 if it had not.
  double Apply(const cluster::Message& heard, const cluster::Actions& actions) const;
  // To hand the payload of a message to the network; 0 without one.
  double Send(const cluster::Message& message) const;
  // To pass it on for others: it comes and goes.
  double Forward(const cluster::Message& message) const { return 2 * Send(message); }

 private:
  // Of the whole vector; a message that names no range means all of it.
  double ShareOf(const cluster::Range& range) const {
    return range.count == 0 ? 1.0 : static_cast<double>(range.count) / parameter_count_;
  }

  LeaderOptions options_;
  double parameter_count_;
};

}  // namespace weft::sim
