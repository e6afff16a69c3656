// Batch normalisation (Ioffe and Szegedy 2015, algorithm 1), per channel over samples and space:
//   dst = gamma * (src - mean) / sqrt(variance + eps) + beta, then relu if fused.

#include <cmath>

#include "kernel/reference_backend.h"
#include "kernel/reference_op.h"

namespace weft::kernel {

namespace {

struct Extents {
  int64_t batch, channels, plane;

  explicit Extents(const Shape& src)
      : batch(src[0]), channels(src[1]), plane(src.elements() / (src[0] * src[1])) {}

  double count() const { return static_cast<double>(batch * plane); }

  // Calls body(index) for every element of one channel.
  template <class Body>
  void ForEach(int64_t channel, Body body) const {
    for (int64_t n = 0; n < batch; ++n) {
      const int64_t begin = (n * channels + channel) * plane;
      for (int64_t i = begin; i < begin + plane; ++i) body(i);
    }
  }
};

void Statistics(const Extents& e, int64_t channel, const float* src, float* mean, float* variance) {
  double sum = 0;
  e.ForEach(channel, [&](int64_t i) { sum += src[i]; });
  const double center = sum / e.count();
  double squares = 0;
  e.ForEach(channel, [&](int64_t i) { squares += (src[i] - center) * (src[i] - center); });
  mean[channel] = static_cast<float>(center);
  variance[channel] = static_cast<float>(squares / e.count());
}

// `positive` (one byte an element, 1 where relu lets the gradient through) may be null.
struct Normalize {
  double mean, scale, beta;

  float operator()(float src) const { return static_cast<float>((src - mean) * scale + beta); }
};

void Apply(const Extents& e, int64_t channel, const Normalize& normalize, bool relu,
           const float* src, float* dst, uint8_t* positive) {
  e.ForEach(channel, [&](int64_t i) {
    const float value = normalize(src[i]);
    const bool keep = !relu || !(value <= 0);  // a NaN stays, to be seen
    if (positive != nullptr) positive[i] = keep;
    dst[i] = keep ? value : 0.0f;
  });
}

void Forward(const BatchnormDesc& d, const Arguments& args) {
  const Extents e(d.src);
  for (int64_t c = 0; c < e.channels; ++c) {
    Statistics(e, c, args.in(0), args.out(4), args.out(5));
    const double inverse = 1 / std::sqrt(static_cast<double>(args.in(5)[c]) + d.eps);
    Apply(e, c, {args.in(4)[c], inverse * args.in(1)[c], args.in(2)[c]}, d.relu, args.in(0),
          args.out(3), d.relu ? args.at<uint8_t>(6) : nullptr);
  }
}

void Inference(const BatchnormDesc& d, const Arguments& args) {
  const Extents e(d.src);
  for (int64_t c = 0; c < e.channels; ++c) {
    const double inverse = 1 / std::sqrt(static_cast<double>(args.in(4)[c]) + d.eps);
    Apply(e, c, {args.in(3)[c], inverse * args.in(1)[c], args.in(2)[c]}, d.relu, args.in(0),
          args.out(5), nullptr);
  }
}

// With g = diff_dst where relu let it through, x = (src - mean) / sqrt(variance + eps), m elements:
//   diff_beta = sum g;  diff_gamma = sum g x
//   diff_src = gamma / sqrt(variance + eps) * (g - diff_beta / m - x * diff_gamma / m)
void Backward(const BatchnormDesc& d, const Arguments& args) {
  const Extents e(d.src);
  const float* src = args.in(0);
  const float* diff_dst = args.in(4);
  const uint8_t* positive = d.relu ? args.at<uint8_t>(5) : nullptr;
  const int written = d.relu ? 6 : 5;  // first of diff_src, diff_gamma, diff_beta
  for (int64_t c = 0; c < e.channels; ++c) {
    const double mean = args.in(1)[c];
    const double inverse = 1 / std::sqrt(static_cast<double>(args.in(2)[c]) + d.eps);
    auto gradient = [&](int64_t i) {
      return positive == nullptr || positive[i] != 0 ? static_cast<double>(diff_dst[i]) : 0.0;
    };
    double sum = 0, dot = 0;
    e.ForEach(c, [&](int64_t i) {
      sum += gradient(i);
      dot += gradient(i) * (src[i] - mean) * inverse;
    });
    const double scale = args.in(3)[c] * inverse;
    float* diff_src = args.out(written);
    e.ForEach(c, [&](int64_t i) {
      const double x = (src[i] - mean) * inverse;
      diff_src[i] = static_cast<float>(scale * (gradient(i) - (sum + x * dot) / e.count()));
    });
    args.out(written + 1)[c] = static_cast<float>(dot);
    args.out(written + 2)[c] = static_cast<float>(sum);
  }
}

size_t WorkspaceBytes(const BatchnormDesc& d) {
  return d.relu ? static_cast<size_t>(d.src.elements()) : 0;
}

}  // namespace

Backend::OpResult ReferenceBackend::BatchnormForward(const BatchnormDesc& d, const Layout&) {
  return MakeReferenceOp(BatchnormForwardPorts(Layout(d.src), WorkspaceBytes(d)),
                         [d](const Arguments& args) { Forward(d, args); });
}

Backend::OpResult ReferenceBackend::BatchnormInference(const BatchnormDesc& d, const Layout&) {
  return MakeReferenceOp(BatchnormInferencePorts(Layout(d.src)),
                         [d](const Arguments& args) { Inference(d, args); });
}

Backend::OpResult ReferenceBackend::BatchnormBackward(const BatchnormDesc& d, const Layout&,
                                                      const Layout&) {
  return MakeReferenceOp(BatchnormBackwardPorts(Layout(d.src), WorkspaceBytes(d)),
                         [d](const Arguments& args) { Backward(d, args); });
}

}  // namespace weft::kernel
