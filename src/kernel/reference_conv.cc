// Convolution as cross-correlation with zero padding:
//   dst[n,o,y,x] = bias[o] + sum_{i,r,s} src[n,i,y*sh-pt+r,x*sw-pl+s] * weights[o,i,r,s]

#include <algorithm>

#include "kernel/reference_backend.h"
#include "kernel/reference_op.h"

namespace weft::kernel {

namespace {

// The output positions whose input under kernel tap `tap` lies inside the image: [first, last).
struct TapRange {
  int64_t first, last;
};

TapRange InsideFor(int64_t tap, int64_t pad, int64_t stride, int64_t in, int64_t out) {
  const int64_t shift = tap - pad;  // in = out * stride + shift
  const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const int64_t last = in - shift <= 0 ? 0 : (in - shift + stride - 1) / stride;
  return {std::min(first, out), std::clamp(last, std::min(first, out), out)};
}

// One (input plane, output plane, weight) triple at a time: calls
// body(weight index, input offset, output offset) for all positions where tap and image meet.
template <class Body>
void ForEachTap(const ConvDesc& d, Body body) {
  const int64_t out_width = d.out_width();
  for (int64_t r = 0; r < d.kernel_height; ++r) {
    const TapRange rows = InsideFor(r, d.pad_top, d.stride_height, d.in_height, d.out_height());
    for (int64_t s = 0; s < d.kernel_width; ++s) {
      const TapRange cols = InsideFor(s, d.pad_left, d.stride_width, d.in_width, out_width);
      for (int64_t y = rows.first; y < rows.last; ++y) {
        const int64_t in_row = (y * d.stride_height - d.pad_top + r) * d.in_width;
        for (int64_t x = cols.first; x < cols.last; ++x) {
          body(r * d.kernel_width + s, in_row + x * d.stride_width - d.pad_left + s,
               y * out_width + x);
        }
      }
    }
  }
}

// Offsets of the planes that meet in one (sample, output channel, input channel of its group).
struct Planes {
  int64_t src, dst, weights;
};

Planes PlanesOf(const ConvDesc& d, int64_t n, int64_t o, int64_t i) {
  const int64_t in_per_group = d.in_channels / d.groups;
  const int64_t channel = o / (d.out_channels / d.groups) * in_per_group + i;
  return {(n * d.in_channels + channel) * d.in_height * d.in_width,
          (n * d.out_channels + o) * d.out_height() * d.out_width(),
          (o * in_per_group + i) * d.kernel_height * d.kernel_width};
}

// sum: one output plane of doubles.
void Forward(const ConvDesc& d, const float* src, const float* weights, const float* bias,
             float* dst, double* sum) {
  const int64_t plane = d.out_height() * d.out_width();
  for (int64_t n = 0; n < d.batch; ++n) {
    for (int64_t o = 0; o < d.out_channels; ++o) {
      std::fill_n(sum, plane, bias != nullptr ? static_cast<double>(bias[o]) : 0.0);
      for (int64_t i = 0; i < d.in_channels / d.groups; ++i) {
        const Planes at = PlanesOf(d, n, o, i);
        ForEachTap(d, [&](int64_t w, int64_t in, int64_t out) {
          sum[out] += static_cast<double>(weights[at.weights + w]) * src[at.src + in];
        });
      }
      float* to = dst + PlanesOf(d, n, o, 0).dst;
      for (int64_t p = 0; p < plane; ++p) {
        to[p] = Activate(d.activation, d.slope, static_cast<float>(sum[p]));
      }
    }
  }
}

// sum: the input planes of one sample, doubles.
void BackwardData(const ConvDesc& d, const float* diff_dst, const float* weights, float* diff_src,
                  double* sum) {
  const int64_t sample = d.in_channels * d.in_height * d.in_width;
  for (int64_t n = 0; n < d.batch; ++n) {
    std::fill_n(sum, sample, 0.0);
    for (int64_t o = 0; o < d.out_channels; ++o) {
      for (int64_t i = 0; i < d.in_channels / d.groups; ++i) {
        const Planes at = PlanesOf(d, n, o, i);
        double* to = sum + (at.src - n * sample);
        ForEachTap(d, [&](int64_t w, int64_t in, int64_t out) {
          to[in] += static_cast<double>(weights[at.weights + w]) * diff_dst[at.dst + out];
        });
      }
    }
    for (int64_t p = 0; p < sample; ++p) diff_src[n * sample + p] = static_cast<float>(sum[p]);
  }
}

// sum: the taps of one (output channel, input channel) pair, doubles.
void BackwardWeights(const ConvDesc& d, const float* src, const float* diff_dst,
                     float* diff_weights, double* sum) {
  const int64_t taps = d.kernel_height * d.kernel_width;
  for (int64_t o = 0; o < d.out_channels; ++o) {
    for (int64_t i = 0; i < d.in_channels / d.groups; ++i) {
      std::fill_n(sum, taps, 0.0);
      for (int64_t n = 0; n < d.batch; ++n) {
        const Planes at = PlanesOf(d, n, o, i);
        ForEachTap(d, [&](int64_t w, int64_t in, int64_t out) {
          sum[w] += static_cast<double>(src[at.src + in]) * diff_dst[at.dst + out];
        });
      }
      float* to = diff_weights + PlanesOf(d, 0, o, i).weights;
      for (int64_t t = 0; t < taps; ++t) to[t] = static_cast<float>(sum[t]);
    }
  }
}

void BackwardBias(const ConvDesc& d, const float* diff_dst, float* diff_bias) {
  const int64_t plane = d.out_height() * d.out_width();
  for (int64_t o = 0; o < d.out_channels; ++o) {
    double sum = 0;
    for (int64_t n = 0; n < d.batch; ++n) {
      const float* from = diff_dst + (n * d.out_channels + o) * plane;
      for (int64_t p = 0; p < plane; ++p) sum += from[p];
    }
    diff_bias[o] = static_cast<float>(sum);
  }
}

WeightedLayouts PlainLayouts(const ConvDesc& d) {
  return {Layout(d.src_shape()), Layout(d.weights_shape()), Layout(d.dst_shape()), d.bias};
}

}  // namespace

Backend::OpResult ReferenceBackend::ConvForward(const ConvDesc& d, const Layout&) {
  return MakeReferenceOp(
      WeightedForwardPorts(PlainLayouts(d)),
      [d](const Arguments& args) {
        Forward(d, args.in(0), args.in(1), d.bias ? args.in(2) : nullptr, args.out(d.bias ? 3 : 2),
                args.scratch<double>());
      },
      static_cast<size_t>(d.out_height() * d.out_width()) * sizeof(double));
}

Backend::OpResult ReferenceBackend::ConvBackwardData(const ConvDesc& d, const Layout&,
                                                     const Layout&) {
  return MakeReferenceOp(
      WeightedBackwardDataPorts(PlainLayouts(d)),
      [d](const Arguments& args) {
        BackwardData(d, args.in(0), args.in(1), args.out(2), args.scratch<double>());
      },
      static_cast<size_t>(d.in_channels * d.in_height * d.in_width) * sizeof(double));
}

Backend::OpResult ReferenceBackend::ConvBackwardWeights(const ConvDesc& d, const Layout&,
                                                        const Layout&, const Layout&) {
  return MakeReferenceOp(
      WeightedBackwardWeightsPorts(PlainLayouts(d)),
      [d](const Arguments& args) {
        BackwardWeights(d, args.in(0), args.in(1), args.out(2), args.scratch<double>());
        if (d.bias) BackwardBias(d, args.in(1), args.out(3));
      },
      static_cast<size_t>(d.kernel_height * d.kernel_width) * sizeof(double));
}

}  // namespace weft::kernel
