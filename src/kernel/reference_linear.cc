// dst[n,o] = bias[o] + sum_i src[n,i] * weights[o,i], with src flattened row major.

#include <algorithm>

#include "kernel/reference_backend.h"
#include "kernel/reference_op.h"

namespace weft::kernel {

namespace {

void Forward(const LinearDesc& d, const float* src, const float* weights, const float* bias,
             float* dst) {
  const int64_t in = d.in_features();
  for (int64_t n = 0; n < d.batch; ++n) {
    for (int64_t o = 0; o < d.out; ++o) {
      double sum = bias != nullptr ? bias[o] : 0.0;
      for (int64_t i = 0; i < in; ++i) {
        sum += static_cast<double>(src[n * in + i]) * weights[o * in + i];
      }
      dst[n * d.out + o] = Activate(d.activation, d.slope, static_cast<float>(sum));
    }
  }
}

// sum: one row of in_features doubles; so for the backward passes below.
void BackwardData(const LinearDesc& d, const float* diff_dst, const float* weights, float* diff_src,
                  double* sum) {
  const int64_t in = d.in_features();
  for (int64_t n = 0; n < d.batch; ++n) {
    std::fill_n(sum, in, 0.0);
    for (int64_t o = 0; o < d.out; ++o) {
      const double gradient = diff_dst[n * d.out + o];
      for (int64_t i = 0; i < in; ++i) sum[i] += gradient * weights[o * in + i];
    }
    for (int64_t i = 0; i < in; ++i) diff_src[n * in + i] = static_cast<float>(sum[i]);
  }
}

void BackwardWeights(const LinearDesc& d, const float* src, const float* diff_dst,
                     float* diff_weights, double* sum) {
  const int64_t in = d.in_features();
  for (int64_t o = 0; o < d.out; ++o) {
    std::fill_n(sum, in, 0.0);
    for (int64_t n = 0; n < d.batch; ++n) {
      const double gradient = diff_dst[n * d.out + o];
      for (int64_t i = 0; i < in; ++i) sum[i] += gradient * src[n * in + i];
    }
    for (int64_t i = 0; i < in; ++i) diff_weights[o * in + i] = static_cast<float>(sum[i]);
  }
}

void BackwardBias(const LinearDesc& d, const float* diff_dst, float* diff_bias) {
  for (int64_t o = 0; o < d.out; ++o) {
    double sum = 0;
    for (int64_t n = 0; n < d.batch; ++n) sum += diff_dst[n * d.out + o];
    diff_bias[o] = static_cast<float>(sum);
  }
}

WeightedLayouts PlainLayouts(const LinearDesc& d) {
  return {Layout(d.src), Layout(d.weights_shape()), Layout(d.dst_shape()), d.bias};
}

size_t RowBytes(const LinearDesc& d) {
  return static_cast<size_t>(d.in_features()) * sizeof(double);
}

}  // namespace

Backend::OpResult ReferenceBackend::LinearForward(const LinearDesc& d, const Layout&) {
  return MakeReferenceOp(WeightedForwardPorts(PlainLayouts(d)), [d](const Arguments& args) {
    Forward(d, args.in(0), args.in(1), d.bias ? args.in(2) : nullptr, args.out(d.bias ? 3 : 2));
  });
}

Backend::OpResult ReferenceBackend::LinearBackwardData(const LinearDesc& d, const Layout&,
                                                       const Layout&) {
  return MakeReferenceOp(
      WeightedBackwardDataPorts(PlainLayouts(d)),
      [d](const Arguments& args) {
        BackwardData(d, args.in(0), args.in(1), args.out(2), args.scratch<double>());
      },
      RowBytes(d));
}

Backend::OpResult ReferenceBackend::LinearBackwardWeights(const LinearDesc& d, const Layout&,
                                                          const Layout&, const Layout&) {
  return MakeReferenceOp(
      WeightedBackwardWeightsPorts(PlainLayouts(d)),
      [d](const Arguments& args) {
        BackwardWeights(d, args.in(0), args.in(1), args.out(2), args.scratch<double>());
        if (d.bias) BackwardBias(d, args.in(1), args.out(3));
      },
      RowBytes(d));
}

}  // namespace weft::kernel
