#pragma once
// Backend: makes Ops. Two stand here: oneDNN (fast, blocked layouts of its own choice) and the
// plain reference twin (row major only, written to be read). MakeBackend chains them in order with
// the reference last; a refusal has a reason one can print. All tensors are f32. Shapes are (N, C,
// H, W) for images and (N, C) for features.
//
// A factory takes the layout in which its tensor input will arrive, or Layout() if that is not
// known; an Op that would rather have another one says so in its port, and the planner puts a
// reorder between. Batchnorm, pooling and elementwise Ops take and make the layout given. Errors of
// every factory: kInvalidArgument for shapes that do not fit; kUnimplemented if this backend
// refuses.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "kernel/op.h"

namespace weft::kernel {

enum class Activation { kNone, kRelu, kLeakyRelu };

struct ConvDesc {
  int64_t batch = 0;
  int64_t in_channels = 0, in_height = 0, in_width = 0;
  int64_t out_channels = 0;
  int64_t kernel_height = 0, kernel_width = 0;
  int64_t stride_height = 1, stride_width = 1;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int64_t groups = 1;  // in_channels and out_channels are multiples of it
  bool bias = true;
  Activation activation = Activation::kNone;  // fused into the forward pass
  float slope = 0;                            // of leaky_relu

  int64_t out_height() const;
  int64_t out_width() const;
  Shape src_shape() const;      // (N, C, H, W)
  Shape weights_shape() const;  // (out, in/groups, kh, kw)
  Shape dst_shape() const;
  double flops() const;  // of one pass: 2 * multiply-adds, padding counted as computed
};

struct LinearDesc {
  int64_t batch = 0;
  Shape src;  // (N, C) or (N, C, H, W), flattened row major
  int64_t out = 0;
  bool bias = true;
  Activation activation = Activation::kNone;
  float slope = 0;

  int64_t in_features() const;
  Shape weights_shape() const;  // (out, in)
  Shape dst_shape() const;      // (N, out)
  double flops() const;
};

struct BatchnormDesc {
  Shape src;  // (N, C, H, W) or (N, C)
  float eps = 1e-5f;
  bool relu = false;  // fused after the normalisation
};

struct PoolDesc {
  enum class Kind { kMax, kAverage };  // average: padding is not counted
  Kind kind = Kind::kMax;
  Shape src;  // (N, C, H, W)
  int64_t kernel_height = 0, kernel_width = 0;
  int64_t stride_height = 0, stride_width = 0;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;

  Shape dst_shape() const;
};

struct ActivationDesc {
  Activation activation = Activation::kRelu;
  float slope = 0;
};

struct DropoutDesc {
  Shape src;
  float rate = 0;     // share of elements set to zero; the rest is divided by 1 - rate
  uint64_t seed = 0;  // of this layer
};

struct LossDesc {
  int64_t batch = 0;
  int64_t classes = 0;
};

// What SoftmaxCrossEntropy writes for its batch.
struct LossStats {
  double loss_sum = 0;  // natural log, summed over the batch
  int64_t correct = 0;  // argmax equals label; the first of equals counts
  int64_t bad_label =
      -1;  // index of the first sample whose label is out of range, or -1 (its loss is left out)
};

struct BackendOptions {
  // Threads for one kernel. The thread that calls Run sets them; results are bit-equal for equal
  // numbers.
  int threads = 1;
  // Lets "auto" choose among kernels by measured time (tuned_backend.h); must outlive the backend.
  // Null: no measuring, the same choice on every run.
  const base::Clock* clock = nullptr;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  using OpResult = Result<std::unique_ptr<Op>>;

  // --- convolution, linear. Weights are (out, in/groups, kh, kw) and (out, in) logically.
  // Ports: src, weights, [bias (out)], dst.
  virtual OpResult ConvForward(const ConvDesc& desc, const Layout& src) = 0;
  // Ports: diff_dst, weights, diff_src. `src` is the layout wanted for diff_src.
  virtual OpResult ConvBackwardData(const ConvDesc& desc, const Layout& diff_dst,
                                    const Layout& src) = 0;
  // Ports: src, diff_dst, diff_weights, [diff_bias]. `weights` is the layout wanted for
  // diff_weights; the port tells.
  virtual OpResult ConvBackwardWeights(const ConvDesc& desc, const Layout& src,
                                       const Layout& diff_dst, const Layout& weights) = 0;
  virtual OpResult LinearForward(const LinearDesc& desc, const Layout& src) = 0;
  virtual OpResult LinearBackwardData(const LinearDesc& desc, const Layout& diff_dst,
                                      const Layout& src) = 0;
  virtual OpResult LinearBackwardWeights(const LinearDesc& desc, const Layout& src,
                                         const Layout& diff_dst, const Layout& weights) = 0;

  // --- batch normalisation (Ioffe and Szegedy 2015). gamma, beta, mean, variance are (C); variance
  // is the biased one of this batch. Ports: src, gamma, beta, dst, mean (written), variance
  // (written), [workspace, if desc.relu].
  virtual OpResult BatchnormForward(const BatchnormDesc& desc, const Layout& src) = 0;
  // With given statistics. Ports: src, gamma, beta, mean, variance, dst.
  virtual OpResult BatchnormInference(const BatchnormDesc& desc, const Layout& src) = 0;
  // Ports: src, mean, variance, gamma, diff_dst, [workspace], diff_src, diff_gamma, diff_beta.
  virtual OpResult BatchnormBackward(const BatchnormDesc& desc, const Layout& src,
                                     const Layout& diff_dst) = 0;

  // --- pooling. Ports: src, dst, [workspace, if max and training].
  virtual OpResult PoolForward(const PoolDesc& desc, const Layout& src, bool training) = 0;
  // Ports: diff_dst, [workspace, if max], diff_src. `src` is the layout wanted for diff_src; it is
  // that of the forward pass, whose workspace this one reads.
  virtual OpResult PoolBackward(const PoolDesc& desc, const Layout& diff_dst,
                                const Layout& src) = 0;

  // --- elementwise, on any layout (they run over the padding, which stays zero).
  // Ports: src, dst (in place allowed).
  virtual OpResult ActivationForward(const ActivationDesc& desc, const Layout& src) = 0;
  // From the forward output. Ports: dst, diff_dst, diff_src (may overwrite diff_dst).
  virtual OpResult ActivationBackward(const ActivationDesc& desc, const Layout& layout) = 0;
  // Ports: a, b, dst (may overwrite a).
  virtual OpResult Add(const Layout& layout) = 0;

  // --- dropout. Element e (row major within its sample) of the sample with key k is kept if
  // UnitUniform(Mix(k ^ DeriveSeed(desc.seed, e))) >= rate (base/rng.h), so the mask does not
  // depend on how a batch is shared out. Plain layouts only. Ports: src, keys (N u64), dst (in
  // place allowed).
  virtual OpResult DropoutForward(const DropoutDesc& desc) = 0;
  // Ports: diff_dst, keys, diff_src (in place allowed).
  virtual OpResult DropoutBackward(const DropoutDesc& desc) = 0;

  // --- mean softmax cross-entropy with its gradient. logits (N, classes) plain, labels N i32,
  // stats one LossStats. diff_logits = (softmax - onehot) / N, 0 for a sample with a bad label.
  // Ports: logits, labels, diff_logits (may overwrite logits), stats.
  virtual OpResult SoftmaxCrossEntropy(const LossDesc& desc) = 0;

  // --- copies between layouts of one shape. Ports: src, dst.
  virtual OpResult Reorder(const Layout& src, const Layout& dst) = 0;
};

// The backends by name, without "auto".
std::vector<std::string> BackendNames();

// `kernels`:
//   "onednn"     weft's own kernels and oneDNN's direct convolutions
//   "winograd"   the same, but Winograd convolutions wherever they can: F(4x4) for images of at
//   least
//                4 x 4, else F(2x2)
//   "reference"  the plain twins
//   "auto"       per convolution the fastest of the first two, by measured time if options.clock is
//                given, else "onednn"
// What the named kernels refuse is done by the next in this order; the reference takes everything.
// Errors: kInvalidArgument for an unknown name, with a did-you-mean.
Result<std::unique_ptr<Backend>> MakeBackend(const std::string& kernels,
                                             const BackendOptions& options);

// The version of oneDNN in use, "2.6.3": results may differ in the last bits between versions.
std::string OnednnVersion();

}  // namespace weft::kernel
