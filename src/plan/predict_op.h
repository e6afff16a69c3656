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
  kUpdate,  // of one parameter by the optimizer
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
  // Channels or features of input and output, of one group. Of a convolution, more than 4 count up
  // to full vectors of 8.
  double in = 1;
  double out = 1;
  double pixels = 1;  // of the output of a convolution; of the larger image of all else
  double window = 1;  // pixels of the kernel, or that a pool makes one of
  double stride = 1;  // product of both directions
  double reuse = 1;   // bytes touched since its own bytes were (reuse distance), their mean
  bool operator==(const OpSize&) const = default;
};

// True if `work` is FLOPs.
bool CountsFlops(OpKind kind);

// What the optimizer adds to a step.
struct UpdateCost {
  int64_t state_vectors = 1;  // kept beside each weight: engine::StateVectors
};

// Of each step of the program, then of filling the arena with the batch (kLoad). A hand-over counts
// as the update of its parameter: gradient and weight read, weight written, each state read and
// written. Reuse distances (Mattson et al. 1970, "Evaluation techniques for storage hierarchies",
// section 3) are counted over training steps that follow each other without end: how many bytes the
// ops in between touched, each time again. The mean is the geometric one over an op's bytes, of
// distances kept within kLeastReuse..kMostReuse: less fits any cache, more fits none.
inline constexpr double kLeastReuse = 64 << 10, kMostReuse = 512 << 20;
std::vector<OpSize> SizesOf(const Program& program, const UpdateCost& update);

}  // namespace weft::plan
