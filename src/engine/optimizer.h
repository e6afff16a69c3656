#pragma once
// Optimizer: one combined gradient into the flat parameter vector. The first `trainable` values are
// trained by SGD or AdamW (kernel/update.h); the rest are running statistics, which follow what the
// devices measured in their batches.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace weft::engine {

struct OptimizerOptions {
  enum class Kind { kSgd, kAdamw };
  Kind kind = Kind::kSgd;
  double momentum = 0;    // sgd
  bool nesterov = false;  // sgd
  double beta1 = 0.9;     // adamw
  double beta2 = 0.999;   // adamw
  double eps = 1e-8;      // adamw
  double weight_decay = 0;
};

// "sgd", "adamw".
std::vector<std::string> OptimizerNames();
// Errors: kInvalidArgument for an unknown name, with a did-you-mean.
Result<OptimizerOptions::Kind> OptimizerFromName(const std::string& name);

// State vectors that an optimizer keeps beside each weight: 0, 1 (velocity) or 2 (moments).
size_t StateVectors(const OptimizerOptions& options);

// One update of a piece of the trainable parameters; `step` counts updates from 1.
//   gradient  [n] f32  read
//   weights   [n] f32  read and written
//   first, second  [n] f32  read and written: the state vectors; those that do not exist are empty
// Threads: `threads`, with the same bits as result.
void UpdateStretch(const OptimizerOptions& options, double lr, int64_t step,
                   std::span<const float> gradient, std::span<float> weights,
                   std::span<float> first, std::span<float> second, int threads = 1);

// Values [begin, begin + count) of the flat vector are running statistics:
// running = (1 - momentum) * running + momentum * measured.
struct StatisticStretch {
  int64_t begin = 0;
  int64_t count = 0;
  double momentum = 0.1;
};

// That of SGD; 0 for others.
double MomentumOf(const OptimizerOptions& options);

// What an update that covers only a fraction of a batch does, so that as many of them as make up
// the batch move the parameters as far as one update of the whole batch would.
//
// SGD: momentum^f, and lr * f * (1 - momentum^f) / (1 - momentum): a gradient moves the weights by
// lr / (1 - momentum) of itself in the end, and now by f of that. AdamW: beta^f, lr * f.
// Source: the limit of small f that Malladi et al. 2022 derive, On the SDEs and Scaling Rules for
// Adaptive Gradient Algorithms.
struct PartialStep {
  OptimizerOptions options;
  double lr = 0;
};
//   fraction  of a batch, above 0; 1 changes nothing, not a bit
PartialStep PartOfStep(const OptimizerOptions& options, double lr, double fraction);

// What an optimizer remembers between steps, for checkpoints.
struct OptimizerState {
  struct Moment {
    std::string name;           // "velocity"; "first_moment", "second_moment"
    std::vector<float> values;  // [trainable]
    bool operator==(const Moment&) const = default;
  };
  int64_t steps = 0;  // batches applied so far; of fractions rounded up
  std::vector<Moment> moments;
  bool operator==(const OptimizerState&) const = default;
};

// Threads: one.
class Optimizer {
 public:
  // The stretches must tile [trainable, size of the vector) in order; CHECKed.
  Optimizer(const OptimizerOptions& options, int64_t trainable,
            std::vector<StatisticStretch> statistics);

  // Length of the flat vector, and of the statistics at its end.
  int64_t size() const { return size_; }
  size_t statistics_count() const { return static_cast<size_t>(size_) - trainable_; }

  // Of what an update is made.
  struct Portion {
    double fraction = 1;  // of a batch; above 0, CHECKed
    // SGD: the gradients carry momentum already, that of the devices which computed them
    // (local_momentum.h). The velocity kept here takes no part and fades.
    bool has_momentum = false;
  };
  // One update, of a batch or of a fraction of one (PartOfStep); statistics then follow by
  // 1 - (1 - momentum)^fraction of the way.
  //   combined    [size] f32  read: mean gradient, then measured statistics
  //   parameters  [size] f32  read and written
  void Apply(double lr, std::span<const float> combined, std::span<float> parameters,
             const Portion& portion);
  void Apply(double lr, std::span<const float> combined, std::span<float> parameters) {
    Apply(lr, combined, parameters, Portion());
  }

  const OptimizerState& state() const { return state_; }
  // Errors: kDataLoss if the state is of another optimizer or model; nothing changes then.
  Status Restore(OptimizerState state);

 private:
  OptimizerOptions options_;
  size_t trainable_;
  int64_t size_;
  std::vector<StatisticStretch> statistics_;
  OptimizerState state_;
  double batches_ = 0;  // state_.steps before it is rounded; what is lost of it by Restore is
                        // less than one
};

}  // namespace weft::engine
