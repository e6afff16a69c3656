#pragma once
// OpSize: what one planned piece of math is to a clock: its kind, how much it does, and the sizes
// on which its rate depends. Read from the ports of its Op alone (kernel/backend.h names them), so
// it holds for every implementation, and a measured op and a planned one are told in the same way.

#include <cstdint>
#include <string_view>
#include <vector>

#include "plan/program.h"

namespace weft::plan {

enum class OpKind {
  kConvForward,
  kConvBackwardData,
  kConvBackwardWeights,
  kGroupedForward,  // convolution of one channel a group (depthwise) or few
  kGroupedBackwardData,
  kGroupedBackwardWeights,
  kLinearForward,
  kLinearBackwardData,
  kLinearBackwardWeights,
  kBatchnormForward,
  kBatchnormBackward,
  kPoolForward,
  kPoolBackward,
  kActivation,  // forward or backward
  kAdd,
  kDropout,  // forward or backward
  kLoss,
  kReorder,
  kLoad,    // the batch into the arena, and the rest of a step that is no op's
  kUpdate,  // of all parameters by the optimizer
  kOther,   // none of the above
};
inline constexpr int kOpKinds = static_cast<int>(OpKind::kOther) + 1;

// "conv forward"; the names stand in device profiles.
std::string_view OpKindName(OpKind kind);

// Sizes that a kind does not have are 1.
struct OpSize {
  OpKind kind = OpKind::kOther;
  double work = 1;    // FLOPs of convolutions and linear layers, bytes moved of all else; above 0
  double bytes = 1;   // of all ports
  double batch = 1;   // samples
  double groups = 1;  // of a convolution
  double in = 1;      // channels or features of the input, of one group
  double out = 1;     // of the output, of one group
  double pixels = 1;  // of the output of a convolution; of the larger image of all else
  double window = 1;  // pixels of the kernel, or that a pool makes one of
  double stride = 1;  // product of both directions
  double cold = 0;    // share of its bytes that have left the cache since they were last touched
  bool operator==(const OpSize&) const = default;
};

// True if `work` is FLOPs.
bool CountsFlops(OpKind kind);

// Of each step of the program, `cold` for a cache of that size. A byte is cold if more bytes than
// the cache holds were touched since it was (reuse distance, Mattson et al. 1970), counted over
// steps that follow each other without end; `update_bytes` are touched between two of them.
std::vector<OpSize> SizesOf(const Program& program, double cache_bytes, double update_bytes);

// The other two parts of a step: filling the arena, and the update that moves `bytes` in all.
OpSize LoadSize(const Program& program);
OpSize UpdateSize(double bytes, double cache_bytes);

}  // namespace weft::plan
