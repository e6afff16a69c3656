#pragma once
// Profiler: what a device learns of itself while it works: how long leases take, what its link
// carries, what else goes on in its machine. A Worker owns one and reports its stats with each
// heartbeat. Of what it was never told the stats stay 0.

#include <array>
#include <cstddef>
#include <cstdint>

#include "cluster/lease_model.h"
#include "cluster/message.h"

namespace weft::cluster {

// Threads: one.
class Profiler {
 public:
  // A lease was computed. See lease_model.h.
  void OnLease(int64_t samples, double seconds);

  // A lease was of a size that is new, and its plan took so long, besides. The first plan of a
  // process also makes kernels and takes its memory from the system: it is forgotten once there is
  // a second.
  void OnPlan(double seconds);

  // So many bytes of payload took so long on the wire, out of this device (`up`) or into it.
  // Transfers of less than 32 KiB or 1 ms say more about buffers and wake-ups than about the link
  // and are ignored; but what has come in at once came no slower than in 1 ms. One that shared the
  // link, or waited for a busy peer, understates it; hardly any overstates it. So a faster one
  // moves the estimate by 0.4 of the difference and a slower one by 0.1: an expectile (Newey and
  // Powell 1987), here 0.8, instead of a mean. Of a link that became slower for good that has taken
  // in nine tenths after 22 transfers.
  void OnTransfer(bool up, int64_t bytes, double seconds);

  // From a heartbeat to its answer. One that waited behind a chunk of a payload overstates it, so
  // the least of the last four goes into the mean, with a gain of 1/8 (RFC 6298).
  void OnRoundTrip(double seconds);

  // base/host_stats.h.
  void OnHost(int64_t free_bytes, double other_load, double temperature);

  const DeviceStats& stats() const { return stats_; }

  // While computing a lease of so many samples; 0: not known yet.
  double SamplesPerSecond(int64_t samples) const;

 private:
  LeaseModel leases_;
  int64_t plans_ = 0;
  std::array<double, 4> round_trips_{};
  size_t round_trip_count_ = 0;
  DeviceStats stats_;
};

// The speed that such stats promise for leases of so many samples; 0: not known.
double SamplesPerSecond(const DeviceStats& stats, int64_t samples);

}  // namespace weft::cluster
