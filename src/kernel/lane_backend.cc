#include "kernel/lane_backend.h"

#include <algorithm>

#include "kernel/function_op.h"
#include "kernel/lane_layout.h"
#include "kernel/lane_loops.h"
#include "kernel/parallel.h"
#include "kernel/ports.h"
#include "kernel/simd_loops.h"
#include "tensor/arena.h"

namespace weft::kernel {

namespace {

Status Refusal(const char* why) { return base::Unimplemented(std::string("lanes: ") + why); }

// What all passes ask of a convolution.
Status CheckShape(const ConvDesc& d) {
  if (d.groups != 1) return Refusal("groups");
  if (4 * d.batch < 3 * SampleBlocks(d.batch) * kSampleLanes) {
    return Refusal("a batch that leaves lanes empty");
  }
  if (std::max(d.in_channels, d.out_channels) > LaneBackend::kMostChannels) {
    return Refusal("many channels");
  }
  if (std::min(d.in_channels, d.out_channels) >= LaneBackend::kMostChannels) {
    return Refusal("channels that fill blocks");
  }
  if (d.kernel_height * d.kernel_width < LaneBackend::kLeastWindow)
    return Refusal("a small window");
  return OkStatus();
}

LaneConv Geometry(const ConvDesc& d) {
  return {{d.in_channels, d.in_height, d.in_width},
          {d.out_channels, d.out_height(), d.out_width()},
          d.kernel_height,
          d.kernel_width,
          d.stride_height,
          d.stride_width,
          d.pad_top,
          d.pad_left};
}

// The data gradient as a forward pass: of diff_dst, with the kernels turned half around.
LaneConv Transposed(const LaneConv& c) {
  LaneConv turned = c;
  std::swap(turned.src, turned.dst);
  turned.pad_top = c.kernel_height - 1 - c.pad_top;
  turned.pad_left = c.kernel_width - 1 - c.pad_left;
  return turned;
}

// Cuts (out, in, kh, kw) weights as LaneForward wants them.
void CutWeights(const LaneConv& c, const float* weights, float* to) {
  ForLanePieces(c.dst.channels, LaneOutTile(), [&](LaneRange outs) {
    for (int64_t tap = 0; tap < c.taps(); ++tap) {
      for (int64_t o = outs.begin; o < outs.end; ++o) *to++ = weights[o * c.taps() + tap];
    }
  });
}

// The same of the weights of the forward pass, for the transposed convolution `c`.
void CutTurnedWeights(const LaneConv& c, const float* weights, float* to) {
  const int64_t window = c.kernel_height * c.kernel_width;
  ForLanePieces(c.dst.channels, LaneOutTile(), [&](LaneRange outs) {
    for (int64_t i = 0; i < c.src.channels; ++i) {
      for (int64_t at = 0; at < window; ++at) {
        for (int64_t o = outs.begin; o < outs.end; ++o) {
          *to++ = weights[(i * c.dst.channels + o) * window + window - 1 - at];
        }
      }
    }
  });
}

// bias may be null.
void RunForward(const LaneConv& c, int64_t batch, float slope, int threads, const float* src,
                const float* cut_weights, const float* bias, float* dst) {
  ParallelItems(SampleBlocks(batch) * c.dst.height, threads, [&](int64_t item) {
    const int64_t block = item / c.dst.height;
    const LaneRow row = {item % c.dst.height, std::min(kSampleLanes, batch - block * kSampleLanes),
                         slope};
    LaneForward(c, row, src + block * c.src.blocks() * kSampleLanes, cut_weights, bias,
                dst + block * c.dst.blocks() * kSampleLanes);
  });
}

class WeightsGradient {
 public:
  WeightsGradient(const LaneConv& conv, int64_t batch, bool bias, int threads)
      : conv_(conv),
        blocks_(SampleBlocks(batch)),
        parts_(std::min<int64_t>(threads, blocks_)),
        part_floats_((conv.weights() + (bias ? conv.dst.channels : 0)) * kSampleLanes),
        threads_(threads) {}

  size_t scratch_bytes() const {
    return static_cast<size_t>(parts_ * part_floats_) * sizeof(float);
  }

  // diff_bias may be null.
  void Run(const float* src, const float* diff_dst, float* diff_weights, float* diff_bias,
           float* scratch) const {
    const int64_t weights = conv_.weights();
    ParallelItems(parts_, threads_, [&](int64_t part) {
      float* const sums = scratch + part * part_floats_;
      std::fill_n(sums, part_floats_, 0.0f);
      for (int64_t b = blocks_ * part / parts_; b < blocks_ * (part + 1) / parts_; ++b) {
        LaneGradient(conv_, src + b * conv_.src.blocks() * kSampleLanes,
                     diff_dst + b * conv_.dst.blocks() * kSampleLanes, sums,
                     diff_bias == nullptr ? nullptr : sums + weights * kSampleLanes);
      }
    });
    LaneSum({weights, parts_, part_floats_}, scratch, diff_weights);
    if (diff_bias == nullptr) return;
    LaneSum({conv_.dst.channels, parts_, part_floats_}, scratch + weights * kSampleLanes,
            diff_bias);
  }

 private:
  LaneConv conv_;
  int64_t blocks_, parts_, part_floats_;
  int threads_;
};

WeightedLayouts LayoutsOf(const ConvDesc& d) {
  return {LaneLayout(d.src_shape()), Layout(d.weights_shape()), LaneLayout(d.dst_shape()), d.bias};
}

Backend::OpResult MakeOp(std::vector<Port> ports, FunctionOp::Body body, size_t scratch_bytes = 0) {
  return std::unique_ptr<Op>(std::make_unique<FunctionOp>(
      std::string("lanes:") + SimdTarget(), std::move(ports), std::move(body), scratch_bytes));
}

size_t WeightBytes(const LaneConv& c) { return static_cast<size_t>(c.weights()) * sizeof(float); }

// One copy after the other, with a plain tensor between.
class ReorderByPlain : public Op {
 public:
  ReorderByPlain(std::unique_ptr<Op> first, std::unique_ptr<Op> second)
      : first_(std::move(first)), second_(std::move(second)) {
    ports_ = {first_->ports()[0], second_->ports()[1]};
    plain_bytes_ = tensor::AlignUp(first_->ports()[1].bytes);
    scratch_bytes_ = plain_bytes_ + std::max(first_->scratch_bytes(), second_->scratch_bytes());
    implementation_ = first_->implementation() + " " + second_->implementation();
  }

  std::unique_ptr<Kernel> Bind(std::span<void* const> args, void* scratch) const override {
    void* const rest = static_cast<std::byte*>(scratch) + plain_bytes_;
    void* const in[] = {args[0], scratch};
    void* const out[] = {scratch, args[1]};
    return std::make_unique<Both>(first_->Bind(in, rest), second_->Bind(out, rest));
  }

 private:
  class Both : public Kernel {
   public:
    Both(std::unique_ptr<Kernel> first, std::unique_ptr<Kernel> second)
        : first_(std::move(first)), second_(std::move(second)) {}
    void Run() override {
      first_->Run();
      second_->Run();
    }

   private:
    std::unique_ptr<Kernel> first_, second_;
  };

  std::unique_ptr<Op> first_, second_;
  size_t plain_bytes_ = 0;
};

}  // namespace

Backend::OpResult LaneBackend::ConvForward(const ConvDesc& d, const Layout& src) {
  RETURN_IF_ERROR(CheckShape(d));
  if (!IsLanes(src)) {
    if (!src.plain()) return Refusal("src of another layout");
    if (std::max(d.in_channels, d.out_channels) > kMostPlainChannels) {
      return Refusal("src without lanes");
    }
  }
  const LaneConv conv = Geometry(d);
  return MakeOp(
      WeightedForwardPorts(LayoutsOf(d)),
      [conv, batch = d.batch, bias = d.bias, slope = SlopeOf(d.activation, d.slope),
       threads = threads_](const Arguments& args) {
        CutWeights(conv, args.in(1), args.scratch<float>());
        RunForward(conv, batch, slope, threads, args.in(0), args.scratch<float>(),
                   bias ? args.in(2) : nullptr, args.out(bias ? 3 : 2));
      },
      WeightBytes(conv));
}

Backend::OpResult LaneBackend::ConvBackwardData(const ConvDesc& d, const Layout& diff_dst,
                                                const Layout&) {
  RETURN_IF_ERROR(CheckShape(d));
  if (!IsLanes(diff_dst)) return Refusal("diff_dst without lanes");
  if (d.stride_height != 1 || d.stride_width != 1) return Refusal("a stride");
  const LaneConv conv = Transposed(Geometry(d));
  return MakeOp(
      WeightedBackwardDataPorts(LayoutsOf(d)),
      [conv, batch = d.batch, threads = threads_](const Arguments& args) {
        CutTurnedWeights(conv, args.in(1), args.scratch<float>());
        RunForward(conv, batch, 1, threads, args.in(0), args.scratch<float>(), nullptr,
                   args.out(2));
      },
      WeightBytes(conv));
}

Backend::OpResult LaneBackend::ConvBackwardWeights(const ConvDesc& d, const Layout&,
                                                   const Layout& diff_dst, const Layout&) {
  RETURN_IF_ERROR(CheckShape(d));
  if (!IsLanes(diff_dst)) return Refusal("diff_dst without lanes");
  const WeightsGradient gradient(Geometry(d), d.batch, d.bias, threads_);
  return MakeOp(
      WeightedBackwardWeightsPorts(LayoutsOf(d)),
      [gradient, bias = d.bias](const Arguments& args) {
        gradient.Run(args.in(0), args.in(1), args.out(2), bias ? args.out(3) : nullptr,
                     args.scratch<float>());
      },
      gradient.scratch_bytes());
}

Backend::OpResult LaneBackend::Reorder(const Layout& src, const Layout& dst) {
  if (IsLanes(src) == IsLanes(dst)) return Refusal("reorder of other layouts");
  const Layout plain(src.shape());
  if (!src.plain() && !dst.plain()) {
    Backend& from = IsLanes(src) ? *this : *other_;
    Backend& to = IsLanes(src) ? *other_ : *this;
    ASSIGN_OR_RETURN(auto first, from.Reorder(src, plain));
    ASSIGN_OR_RETURN(auto second, to.Reorder(plain, dst));
    return std::unique_ptr<Op>(
        std::make_unique<ReorderByPlain>(std::move(first), std::move(second)));
  }
  const int64_t batch = src.shape()[0];
  const int64_t floats = src.shape().elements() / batch;
  return MakeOp({TensorPort("src", Access::kRead, src), TensorPort("dst", Access::kWrite, dst)},
                [batch, floats, to = IsLanes(dst), threads = threads_](const Arguments& args) {
                  ParallelItems(SampleBlocks(batch), threads, [&](int64_t block) {
                    const int64_t at = block * kSampleLanes * floats;
                    const int64_t samples = std::min(kSampleLanes, batch - block * kSampleLanes);
                    to ? ToLanes(samples, floats, args.in(0) + at, args.out(1) + at)
                       : FromLanes(samples, floats, args.in(0) + at, args.out(1) + at);
                  });
                });
}

}  // namespace weft::kernel
