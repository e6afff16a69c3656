#pragma once
// UpdateEncoder: a gradient to packets, one a range of the flat vector, with the residual that a
// lossy codec leaves (error feedback). At any time, of each value: gradients of the leases that
// count = applied + residual + in flight (promise 4).
//
// A refused update's lease is computed again, here or elsewhere, so its own gradient must not come
// back; what the packet carried of older leases must. That part is kept until the update's fate is
// known. It is kept by value, whatever ranges it was sent in: the next lease may be cut otherwise,
// and the fate of a stretch settles that stretch and no more.
// Source of error feedback: Seide et al. 2014, 1-bit stochastic gradient descent, section 3.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "cluster/message.h"
#include "codec/codec.h"

namespace weft::cluster {

// Threads: one.
class UpdateEncoder {
 public:
  struct Options {
    int64_t size = 0;  // of the flat vector
    // The first so many values keep a residual: the trainable ones (measured statistics are not
    // summed up over steps). 0: none is kept, as deterministic jobs must, because a residual would
    // depend on which device computed which lease.
    int64_t residual_size = 0;
    uint64_t run = 0;  // RunTag
  };
  UpdateEncoder(std::unique_ptr<codec::Codec> codec, const Options& options);

  // A range of a lease's update; of what was encoded of that lease before, this range counts no
  // more.
  //   gradient  [range.count] f32  read: mean over the lease's samples
  //   version   of the parameters that it was computed with
  //   velocity  [range.count] f32  set to 0 where a value is selected (codec::Carry); or empty
  // Errors: kInvalidArgument for a range outside of the vector or a gradient of another size.
  Result<Payload> Encode(uint64_t term, const Lease& lease, const Range& range,
                         std::span<const float> gradient, int64_t version = 0,
                         std::span<float> velocity = {});
  // How much is sent from now on.
  void Aim(const codec::Target& target) { codec_->Aim(target); }
  // The fate of a range of an update (action Settled). What was not encoded here is ignored.
  void Settle(uint64_t term, const Lease& lease, const Range& range, bool applied);

  // The same of the whole vector.
  Result<Payload> Encode(uint64_t term, const Lease& lease, std::span<const float> gradient) {
    return Encode(term, lease, {0, options_.size}, gradient);
  }
  void Settle(uint64_t term, const Lease& lease, bool applied) {
    Settle(term, lease, {0, options_.size}, applied);
  }

  // [size], or empty if none is kept. In units of a mean over residual_samples() samples.
  std::span<const float> residual() const { return residual_; }
  int64_t residual_samples() const { return residual_samples_; }
  // Leases of which something is in flight.
  size_t in_flight() const { return in_flight_.size(); }

 private:
  using Key = std::pair<uint64_t, uint64_t>;  // term, lease id
  // A stretch of an update.
  struct InFlight {
    int64_t begin = 0;
    int64_t samples = 0;
    std::vector<float> carried;  // residual before - residual after
    int64_t end() const { return begin + static_cast<int64_t>(carried.size()); }
  };
  void Rescale(int64_t samples);
  std::span<float> ResidualOf(const Range& range);
  void GiveBack(const InFlight& stretch);

  std::unique_ptr<codec::Codec> codec_;
  Options options_;
  std::vector<float> residual_;
  int64_t residual_samples_ = 0;
  std::map<Key, std::vector<InFlight>> in_flight_;  // disjoint stretches of each lease
};

}  // namespace weft::cluster
