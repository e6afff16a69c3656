#pragma once
// UpdateEncoder: a gradient to a packet, with the residual that a lossy codec leaves (error
// feedback). At any time: gradients of the leases that count = applied + residual + in flight
// (promise 4).
//
// A refused update's lease is computed again, here or elsewhere, so its own gradient must not come
// back; what the packet carried of older leases must. That part is kept until the update's fate is
// known.
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
  };
  UpdateEncoder(std::unique_ptr<codec::Codec> codec, const Options& options);

  //   gradient  [size] f32  read: mean over the lease's samples
  // Errors: kInvalidArgument for a gradient of another size.
  Result<Payload> Encode(uint64_t term, const Lease& lease, std::span<const float> gradient);
  // The fate of an update (action Settled). One that was not encoded here is ignored.
  void Settle(uint64_t term, const Lease& lease, bool applied);

  // [size], or empty if none is kept. In units of a mean over residual_samples() samples.
  std::span<const float> residual() const { return residual_; }
  int64_t residual_samples() const { return residual_samples_; }
  size_t in_flight() const { return in_flight_.size(); }

 private:
  using Key = std::pair<uint64_t, uint64_t>;  // term, lease id
  struct InFlight {
    int64_t samples = 0;
    std::vector<float> carried;  // [size] residual before - residual after
  };
  void Rescale(int64_t samples);

  std::unique_ptr<codec::Codec> codec_;
  Options options_;
  std::vector<float> residual_;
  int64_t residual_samples_ = 0;
  std::map<Key, InFlight> in_flight_;
};

}  // namespace weft::cluster
