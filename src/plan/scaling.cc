#include "plan/scaling.h"

#include <algorithm>

#include "base/check.h"

namespace weft::plan {
namespace {

// What devices send up arrives by the leader's way down.
double LeaderLinkSeconds(const LinkProfile& leader, const Exchange& exchange, double devices) {
  const LinkProfile crossed = {.up_bytes_per_second = leader.down_bytes_per_second,
                               .down_bytes_per_second = leader.up_bytes_per_second};
  return ExchangeSeconds(crossed, {.up_bytes = devices * exchange.up_bytes,
                                   .down_bytes = devices * exchange.down_bytes,
                                   .overlapped = exchange.overlapped});
}

}  // namespace

Scaling ScalingOf(const ScalingInput& input) {
  CHECK(input.devices >= 1 && input.local_steps >= 1);
  CHECK(input.compute_seconds > 0 && input.alone_samples_per_second > 0);
  const auto devices = static_cast<double>(input.devices);
  const double round_trip = input.device.round_trip_seconds;
  const double own = ExchangeSeconds(input.device, input.exchange) - round_trip;
  const double shared = std::max(LeaderLinkSeconds(input.leader, input.exchange, devices),
                                 devices * input.leader_seconds_per_device);
  Scaling scaling;
  scaling.leader_bound = shared > own;
  scaling.exchange_seconds =
      round_trip + std::max(own, shared) + input.device_seconds + input.leader_seconds;
  scaling.step_seconds =
      input.compute_seconds + scaling.exchange_seconds / static_cast<double>(input.local_steps);
  scaling.speedup = input.samples / scaling.step_seconds / input.alone_samples_per_second;
  scaling.efficiency = scaling.speedup / devices;
  return scaling;
}

}  // namespace weft::plan
