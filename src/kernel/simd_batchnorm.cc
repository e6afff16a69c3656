// Batch normalisation (Ioffe and Szegedy 2015, algorithm 1) of SimdBackend:
//   dst = gamma * (src - mean) / sqrt(variance + eps) + beta, then relu if fused.
// Sums are kept in floats over short runs only, and in doubles above that; variances are of src
// less a sample mean, so that they hold where the mean is far from zero. The workspace is one bit
// an element: where relu cut.

#include <cmath>

#include "kernel/lane_layout.h"
#include "kernel/onednn_layout.h"
#include "kernel/ports.h"
#include "kernel/simd_backend.h"
#include "kernel/simd_batchnorm_pass.h"
#include "kernel/simd_loops.h"

namespace weft::kernel {

namespace {

constexpr float kZeros[kMaxLanes] = {};

double InverseDeviation(float variance, float eps) {
  return 1 / std::sqrt(static_cast<double>(variance) + static_cast<double>(eps));
}

double SumOf(const double* values, int64_t begin, int64_t end) {
  double sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += values[i];
  return sum;
}

void Spread(double value, int64_t begin, int64_t end, float* lanes) {
  std::fill(lanes + begin, lanes + end, static_cast<float>(value));
}

// Where the mask of the run begins; null for none.
template <class Byte>
Byte* MaskAt(const BatchnormGeometry& g, const BatchnormRun& run, Byte* mask) {
  return mask == nullptr ? nullptr : mask + run.group * MaskBytes(g.lanes);
}

// The elements of forward and inference.
struct Normalizer {
  const BatchnormGeometry& g;
  bool relu;
  const float* src;
  float* dst;
  uint8_t* mask;  // null: none wanted

  void Apply(int64_t block, int64_t begin, int64_t end, const BatchnormCoefficients& c) const {
    g.ForEachRun(block, begin, end, [&](const BatchnormRun& run) {
      float x[kMaxLanes], y[kMaxLanes];
      const WholeGroups groups(g, run);
      Normalize(ExtentsOf(g, run), c, relu, groups.Read(src, c.mean, x), groups.Written(dst, y),
                MaskAt(g, run, mask));
      groups.Store(y, dst);
    });
  }
};

struct ForwardPass : Normalizer {
  const float *gamma, *beta;  // (C)
  float *mean, *variance;     // (C)
  float eps;

  void Sum(int64_t block, int64_t begin, int64_t end, BatchnormSums* sums) const {
    SampleMean(block, sums->shift);
    g.ForEachRun(block, begin, end, [&](const BatchnormRun& run) {
      float x[kMaxLanes];
      AddStatistics(ExtentsOf(g, run), WholeGroups(g, run).Read(src, sums->shift, x), sums->shift,
                    sums->first, sums->second);
    });
  }

  void Finish(int64_t block, const BatchnormSums& sums, BatchnormCoefficients* c) const {
    const double count = g.pixels_per_channel();
    g.ForEachChannel(block, [&](int64_t channel, int64_t begin, int64_t end) {
      const double above = SumOf(sums.first, begin, end) / count;  // of the mean over the shift
      const double square = SumOf(sums.second, begin, end) / count;
      mean[channel] = static_cast<float>(sums.shift[begin] + above);
      const double spread = square - above * above;
      variance[channel] = spread < 0 ? 0.0f : static_cast<float>(spread);
      Spread(mean[channel], begin, end, c->mean);
      Spread(gamma[channel] * InverseDeviation(variance[channel], eps), begin, end, c->scale);
      Spread(beta[channel], begin, end, c->offset);
    });
  }

 private:
  // The mean over a few groups spread over the whole block: near the mean, unlike one pixel, which
  // may be an outlier.
  void SampleMean(int64_t block, float* shift) const {
    constexpr int64_t kSamples = 16;
    const int64_t all = g.rows * g.groups;
    const int64_t samples = std::min(all, kSamples);
    double sums[kMaxLanes] = {};
    int64_t pixels = 0;
    for (int64_t sample = 0; sample < samples; ++sample) {
      const int64_t at = sample * all / samples;
      const int64_t i = at % g.groups;
      const int64_t width = i < g.whole_groups(block) ? g.lanes : g.tail();
      const float* group =
          src + block * g.block_step + at / g.groups * g.row_step + i * g.group_step;
      for (int64_t lane = 0; lane < width; ++lane) sums[lane] += group[lane];
      pixels += g.planes ? width : 1;
    }
    g.ForEachChannel(block, [&](int64_t, int64_t begin, int64_t end) {
      Spread(SumOf(sums, begin, end) / static_cast<double>(pixels), begin, end, shift);
    });
  }
};

// With g = diff_dst where relu let it through, m pixels a channel, inverse = 1 / sqrt(variance +
// eps):
//   diff_beta = sum g;  diff_gamma = inverse * sum g (src - mean)
//   diff_src = gamma * inverse * (g - diff_beta / m - (src - mean) * inverse * diff_gamma / m)
struct BackwardPass {
  const BatchnormGeometry& g;
  const float *src, *mean, *variance, *gamma, *diff_dst;
  const uint8_t* mask;
  float *diff_src, *diff_gamma, *diff_beta;
  float eps;

  void Sum(int64_t block, int64_t begin, int64_t end, BatchnormSums* sums) const {
    float center[kMaxLanes] = {};
    g.ForEachChannel(block, [&](int64_t channel, int64_t first, int64_t last) {
      Spread(mean[channel], first, last, center);
    });
    g.ForEachRun(block, begin, end, [&](const BatchnormRun& run) {
      float x[kMaxLanes], dy[kMaxLanes];
      const WholeGroups groups(g, run);
      AddGradients(ExtentsOf(g, run), center, groups.Read(src, center, x),
                   groups.Read(diff_dst, kZeros, dy), MaskAt(g, run, mask), sums->first,
                   sums->second);
    });
  }

  void Finish(int64_t block, const BatchnormSums& sums, BatchnormCoefficients* c) const {
    const double count = g.pixels_per_channel();
    g.ForEachChannel(block, [&](int64_t channel, int64_t begin, int64_t end) {
      const double inverse = InverseDeviation(variance[channel], eps);
      const double scale = gamma[channel] * inverse;
      const double sum = SumOf(sums.first, begin, end);
      const double dot = SumOf(sums.second, begin, end) * inverse;
      diff_gamma[channel] = static_cast<float>(dot);
      diff_beta[channel] = static_cast<float>(sum);
      Spread(mean[channel], begin, end, c->mean);
      Spread(scale, begin, end, c->scale);
      Spread(-scale * sum / count, begin, end, c->offset);
      Spread(-scale * inverse * dot / count, begin, end, c->slope);
    });
  }

  void Apply(int64_t block, int64_t begin, int64_t end, const BatchnormCoefficients& c) const {
    g.ForEachRun(block, begin, end, [&](const BatchnormRun& run) {
      float x[kMaxLanes], dy[kMaxLanes], dx[kMaxLanes];
      const WholeGroups groups(g, run);
      NormalizeBackward(ExtentsOf(g, run), c, groups.Read(src, c.mean, x),
                        groups.Read(diff_dst, kZeros, dy), MaskAt(g, run, mask),
                        groups.Written(diff_src, dx));
      groups.Store(dx, diff_src);
    });
  }
};

struct InferencePass : Normalizer {
  const float *gamma, *beta, *mean, *variance;
  float eps;

  void Sum(int64_t, int64_t, int64_t, BatchnormSums*) const {}

  void Finish(int64_t block, const BatchnormSums&, BatchnormCoefficients* c) const {
    g.ForEachChannel(block, [&](int64_t channel, int64_t begin, int64_t end) {
      Spread(mean[channel], begin, end, c->mean);
      Spread(gamma[channel] * InverseDeviation(variance[channel], eps), begin, end, c->scale);
      Spread(beta[channel], begin, end, c->offset);
    });
  }
};

bool HasFullLanes(const Layout& data) {
  return IsLanes(data) && data.shape()[0] % kSampleLanes == 0;
}

// The layout asked for: `hint` if the loops can walk it, else plain.
Layout Wanted(const Layout& hint) {
  const bool known = hint.plain() || ChannelBlockOf(hint) > 0 || HasFullLanes(hint);
  return known ? hint : Layout(hint.shape());
}

BatchnormWork WorkOf(const Layout& data, int threads) {
  return {HasFullLanes(data) ? BatchnormGeometry::OfLanes(data.shape())
                             : BatchnormGeometry(data.shape(), ChannelBlockOf(data)),
          threads};
}

size_t MaskSize(const BatchnormDesc& d, const BatchnormGeometry& g) {
  return d.relu ? static_cast<size_t>(g.all_groups() * MaskBytes(g.lanes) + kMaskSlack) : 0;
}

Backend::OpResult MakeBatchnormOp(std::vector<Port> ports, FunctionOp::Body body,
                                  const BatchnormWork& work) {
  return std::unique_ptr<Op>(std::make_unique<FunctionOp>(std::string("simd:") + SimdTarget(),
                                                          std::move(ports), std::move(body),
                                                          work.scratch_bytes()));
}

}  // namespace

Backend::OpResult SimdBackend::BatchnormForward(const BatchnormDesc& d, const Layout& src) {
  const Layout data = Wanted(src);
  const BatchnormWork work = WorkOf(data, threads_);
  return MakeBatchnormOp(
      BatchnormForwardPorts(data, MaskSize(d, work.geometry())),
      [d, work](const Arguments& args) {
        const ForwardPass pass{{work.geometry(), d.relu, args.in(0), args.out(3),
                                d.relu ? args.at<uint8_t>(6) : nullptr},
                               args.in(1),
                               args.in(2),
                               args.out(4),
                               args.out(5),
                               d.eps};
        work.Run(pass, args.scratch<void>());
      },
      work);
}

Backend::OpResult SimdBackend::BatchnormInference(const BatchnormDesc& d, const Layout& src) {
  const Layout data = Wanted(src);
  const BatchnormWork work = WorkOf(data, threads_);
  return MakeBatchnormOp(
      BatchnormInferencePorts(data),
      [d, work](const Arguments& args) {
        const InferencePass pass{{work.geometry(), d.relu, args.in(0), args.out(5), nullptr},
                                 args.in(1),
                                 args.in(2),
                                 args.in(3),
                                 args.in(4),
                                 d.eps};
        work.Run(pass, args.scratch<void>());
      },
      work);
}

Backend::OpResult SimdBackend::BatchnormBackward(const BatchnormDesc& d, const Layout& src,
                                                 const Layout&) {
  const Layout data = Wanted(src);
  const BatchnormWork work = WorkOf(data, threads_);
  return MakeBatchnormOp(
      BatchnormBackwardPorts(data, MaskSize(d, work.geometry())),
      [d, work](const Arguments& args) {
        const int written = d.relu ? 6 : 5;  // first of diff_src, diff_gamma, diff_beta
        const BackwardPass pass{work.geometry(),
                                args.in(0),
                                args.in(1),
                                args.in(2),
                                args.in(3),
                                args.in(4),
                                d.relu ? args.at<uint8_t>(5) : nullptr,
                                args.out(written),
                                args.out(written + 1),
                                args.out(written + 2),
                                d.eps};
        work.Run(pass, args.scratch<void>());
      },
      work);
}

}  // namespace weft::kernel
