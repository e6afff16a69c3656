// The convolutions of lane_loops.h. A tile of sums stays in registers: of output channels by pixels
// (forward) or by kernel columns (gradient). Where a tile hangs over the image's left or right edge
// it reads zeros.

#include <algorithm>
#include <type_traits>

#include "kernel/lane_layout.h"
#include "kernel/lane_loops.h"

// Vectors stand in arrays here, which scalable vectors cannot.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernel/lane_conv_loops.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace weft::kernel {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Lanes = hn::CappedTag<float, kSampleLanes>;
using V = hn::Vec<Lanes>;

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_ARCH_ARM_A64  // 32 registers
constexpr int kOuts = 6, kColumns = 4;
constexpr int kGradientOuts = 4, kGradientColumns = 5;
#else  // 16
constexpr int kOuts = 6, kColumns = 2;
constexpr int kGradientOuts = 2, kGradientColumns = 5;
#endif

alignas(64) constexpr float kZeros[kSampleLanes] = {};

// `v`, in a register. GCC would load it anew for each product, as their memory operand, and the
// loads then take longer than the products.
HWY_INLINE V Held(V v) {
#if HWY_ARCH_X86
  asm("" : "+v"(v.raw));
#endif
  return v;
}

// Calls run(std::integral_constant<int, n>) for an n from 1 to kMost.
template <int kMost, class Run>
HWY_INLINE void WithCount(int64_t n, const Run& run) {
  if constexpr (kMost > 1) {
    if (n < kMost) return WithCount<kMost - 1>(n, run);
  }
  run(std::integral_constant<int, kMost>());
}

// The kernel rows that meet the image, for the window whose first row is `top`.
LaneRange RowsInside(const LaneConv& c, int64_t top) {
  const int64_t begin = std::max<int64_t>(0, -top);
  return {begin, std::max(begin, std::min(c.kernel_height, c.src.height - top))};
}

// The kernel columns for which any of `count` pixels of dst meets the image, the first of them with
// its window at `left`.
LaneRange ColumnsInside(const LaneConv& c, int64_t left, int64_t count) {
  const int64_t begin = std::max<int64_t>(0, -left - (count - 1) * c.stride_width);
  return {begin, std::max(begin, std::min(c.kernel_width, c.src.width - left))};
}

// The pixel at `column` of a row of src.
template <bool kEdge>
HWY_INLINE const float* Pixel(const LaneConv& c, const float* row, int64_t column, int64_t lane) {
  if (kEdge && static_cast<uint64_t>(column) >= static_cast<uint64_t>(c.src.width)) return kZeros;
  return row + column * kSampleLanes + lane;
}

int64_t LaneOutTile() { return kOuts; }

struct ForwardTile {
  const LaneConv& conv;
  LaneRow row;
  int64_t lane;          // the first of the vectors
  const float* src;      // of the block
  const float* weights;  // of the piece
  const float* bias;     // of the piece, or null
  float* dst;            // the first pixel of the piece's first row
};

template <int kOut, int kColumn, bool kEdge>
void RunForward(const ForwardTile& t, int64_t x) {
  const Lanes lanes;
  const LaneConv& c = t.conv;
  V sum[kOut][kColumn];
  for (int o = 0; o < kOut; ++o) {
    const auto start = hn::Set(lanes, t.bias == nullptr ? 0.0f : t.bias[o]);
    for (int j = 0; j < kColumn; ++j) sum[o][j] = start;
  }
  const int64_t top = t.row.y * c.stride_height - c.pad_top;
  const int64_t left = x * c.stride_width - c.pad_left;
  const LaneRange rows = RowsInside(c, top);
  const LaneRange columns = kEdge ? ColumnsInside(c, left, kColumn) : LaneRange{0, c.kernel_width};
  for (int64_t i = 0; i < c.src.channels; ++i) {
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const float* w =
          t.weights + ((i * c.kernel_height + r) * c.kernel_width + columns.begin) * kOut;
      const float* from = t.src + (i * c.src.height + top + r) * c.src.width * kSampleLanes;
      for (int64_t s = columns.begin; s < columns.end; ++s, w += kOut) {
        V pixels[kColumn];
        for (int j = 0; j < kColumn; ++j) {
          pixels[j] = hn::Load(lanes, Pixel<kEdge>(c, from, left + j * c.stride_width + s, t.lane));
        }
        for (int o = 0; o < kOut; ++o) {
          const auto weight = hn::Set(lanes, w[o]);
          for (int j = 0; j < kColumn; ++j) sum[o][j] = hn::MulAdd(weight, pixels[j], sum[o][j]);
        }
      }
    }
  }
  const auto slope = hn::Set(lanes, t.row.slope);
  const auto live =
      hn::FirstN(lanes, static_cast<size_t>(std::max<int64_t>(0, t.row.samples - t.lane)));
  for (int o = 0; o < kOut; ++o) {
    for (int j = 0; j < kColumn; ++j) {
      const V value = sum[o][j];
      const V bent = hn::IfThenElse(hn::Lt(value, hn::Zero(lanes)), hn::Mul(value, slope), value);
      hn::Store(hn::IfThenElseZero(live, bent), lanes,
                t.dst + (o * c.dst.plane() + x + j) * kSampleLanes + t.lane);
    }
  }
}

void LaneForward(const LaneConv& c, const LaneRow& row, const float* src, const float* weights,
                 const float* bias, float* dst) {
  const auto width = static_cast<int64_t>(hn::Lanes(Lanes()));
  float* const to = dst + row.y * c.dst.width * kSampleLanes;
  for (int64_t lane = 0; lane < kSampleLanes; lane += width) {
    ForLanePieces(c.dst.channels, kOuts, [&](LaneRange outs) HWY_ATTR {
      const ForwardTile tile = {c,
                                row,
                                lane,
                                src,
                                weights + outs.begin * c.taps(),
                                bias == nullptr ? nullptr : bias + outs.begin,
                                to + outs.begin * c.dst.plane() * kSampleLanes};
      WithCount<kOuts>(outs.size(), [&](auto out) HWY_ATTR {
        ForLanePieces(c.dst.width, kColumns, [&](LaneRange x) HWY_ATTR {
          const bool edge =
              x.begin * c.stride_width < c.pad_left ||
              (x.end - 1) * c.stride_width - c.pad_left + c.kernel_width > c.src.width;
          WithCount<kColumns>(x.size(), [&](auto column) HWY_ATTR {
            constexpr int kOut = decltype(out)::value;
            constexpr int kColumn = decltype(column)::value;
            edge ? RunForward<kOut, kColumn, true>(tile, x.begin)
                 : RunForward<kOut, kColumn, false>(tile, x.begin);
          });
        });
      });
    });
  }
}

struct GradientTile {
  const LaneConv& conv;
  LaneRange rows;         // of dst
  int64_t lane;           // the first of the vectors
  int64_t r, s;           // kernel row and first kernel column
  const float* src;       // the channel's plane
  const float* diff_dst;  // the first output channel's plane
  float* sums;            // of the first output channel and column
};

template <int kOut, int kColumn, bool kEdge>
HWY_INLINE void AddPixels(const GradientTile& t, const float* from, const float* diff, LaneRange xs,
                          V (&sum)[kOut][kColumn]) {
  const Lanes lanes;
  const LaneConv& c = t.conv;
  const int64_t plane = c.dst.plane() * kSampleLanes;
  for (int64_t x = xs.begin; x < xs.end; ++x) {
    const int64_t left = x * c.stride_width - c.pad_left + t.s;
    V diffs[kOut];
    for (int o = 0; o < kOut; ++o) {
      diffs[o] = hn::Load(lanes, diff + o * plane + x * kSampleLanes + t.lane);
    }
    for (int j = 0; j < kColumn; ++j) {
      const auto pixel = Held(hn::Load(lanes, Pixel<kEdge>(c, from, left + j, t.lane)));
      for (int o = 0; o < kOut; ++o) sum[o][j] = hn::MulAdd(diffs[o], pixel, sum[o][j]);
    }
  }
}

template <int kOut, int kColumn>
void RunGradient(const GradientTile& t) {
  const Lanes lanes;
  const LaneConv& c = t.conv;
  // The positions at which all columns of the tile lie inside.
  const int64_t before = c.pad_left - t.s;
  const int64_t room = c.src.width - kColumn + before;
  const int64_t inside = std::clamp<int64_t>(
      before <= 0 ? 0 : (before + c.stride_width - 1) / c.stride_width, 0, c.dst.width);
  const int64_t outside =
      std::clamp<int64_t>(room < 0 ? 0 : room / c.stride_width + 1, inside, c.dst.width);
  V sum[kOut][kColumn];
  for (int o = 0; o < kOut; ++o) {
    for (int j = 0; j < kColumn; ++j) {
      sum[o][j] = hn::Load(lanes, t.sums + (o * c.taps() + j) * kSampleLanes);
    }
  }
  for (int64_t y = t.rows.begin; y < t.rows.end; ++y) {
    const int64_t row = y * c.stride_height - c.pad_top + t.r;
    if (row < 0 || row >= c.src.height) continue;
    const float* from = t.src + row * c.src.width * kSampleLanes;
    const float* diff = t.diff_dst + y * c.dst.width * kSampleLanes;
    AddPixels<kOut, kColumn, true>(t, from, diff, {0, inside}, sum);
    AddPixels<kOut, kColumn, false>(t, from, diff, {inside, outside}, sum);
    AddPixels<kOut, kColumn, true>(t, from, diff, {outside, c.dst.width}, sum);
  }
  for (int o = 0; o < kOut; ++o) {
    for (int j = 0; j < kColumn; ++j) {
      hn::Store(sum[o][j], lanes, t.sums + (o * c.taps() + j) * kSampleLanes);
    }
  }
}

void AddBias(const LaneConv& c, LaneRange rows, int64_t lane, const float* diff_dst, float* sums) {
  const Lanes lanes;
  const int64_t begin = rows.begin * c.dst.width, end = rows.end * c.dst.width;
  for (int64_t o = 0; o < c.dst.channels; ++o) {
    const float* from = diff_dst + o * c.dst.plane() * kSampleLanes + lane;
    V even = hn::Load(lanes, sums + o * kSampleLanes + lane), odd = hn::Zero(lanes);
    int64_t p = begin;
    for (; p + 1 < end; p += 2) {
      even = hn::Add(even, hn::Load(lanes, from + p * kSampleLanes));
      odd = hn::Add(odd, hn::Load(lanes, from + (p + 1) * kSampleLanes));
    }
    if (p < end) even = hn::Add(even, hn::Load(lanes, from + p * kSampleLanes));
    hn::Store(hn::Add(even, odd), lanes, sums + o * kSampleLanes + lane);
  }
}

// Rows of dst whose share of a tile's work stays in the first cache.
int64_t GradientRows(const LaneConv& c) {
  constexpr int64_t kFloats = 6 << 10;
  const int64_t row = (kGradientOuts * c.dst.width + c.src.width * c.stride_height) * kSampleLanes;
  return std::max<int64_t>(1, kFloats / row);
}

void LaneGradient(const LaneConv& c, const float* src, const float* diff_dst, float* weight_sums,
                  float* bias_sums) {
  const auto width = static_cast<int64_t>(hn::Lanes(Lanes()));
  const auto channel = [&](LaneRange rows, LaneRange outs, int64_t i, int64_t lane) HWY_ATTR {
    for (int64_t r = 0; r < c.kernel_height; ++r) {
      ForLanePieces(c.kernel_width, kGradientColumns, [&](LaneRange s) HWY_ATTR {
        const int64_t tap = (i * c.kernel_height + r) * c.kernel_width + s.begin;
        const GradientTile tile = {
            c,
            rows,
            lane,
            r,
            s.begin,
            src + i * c.src.plane() * kSampleLanes,
            diff_dst + outs.begin * c.dst.plane() * kSampleLanes,
            weight_sums + (outs.begin * c.taps() + tap) * kSampleLanes + lane};
        WithCount<kGradientOuts>(outs.size(), [&](auto out) HWY_ATTR {
          WithCount<kGradientColumns>(s.size(), [&](auto column) HWY_ATTR {
            RunGradient<decltype(out)::value, decltype(column)::value>(tile);
          });
        });
      });
    }
  };
  ForLanePieces(c.dst.height, GradientRows(c), [&](LaneRange rows) HWY_ATTR {
    ForLanePieces(c.dst.channels, kGradientOuts, [&](LaneRange outs) HWY_ATTR {
      for (int64_t i = 0; i < c.src.channels; ++i) {
        for (int64_t lane = 0; lane < kSampleLanes; lane += width) channel(rows, outs, i, lane);
      }
    });
    if (bias_sums == nullptr) return;
    for (int64_t lane = 0; lane < kSampleLanes; lane += width) {
      AddBias(c, rows, lane, diff_dst, bias_sums);
    }
  });
}

void LaneSum(const LaneTotals& t, const float* from, float* to) {
  const Lanes lanes;
  const auto width = static_cast<int64_t>(hn::Lanes(lanes));
  for (int64_t i = 0; i < t.count; ++i) {
    V sum = hn::Zero(lanes);
    for (int64_t part = 0; part < t.parts; ++part) {
      for (int64_t lane = 0; lane < kSampleLanes; lane += width) {
        sum = hn::Add(sum, hn::Load(lanes, from + part * t.part_floats + i * kSampleLanes + lane));
      }
    }
    to[i] = hn::GetLane(hn::SumOfLanes(lanes, sum));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace weft::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::kernel {

HWY_EXPORT(LaneOutTile);
HWY_EXPORT(LaneForward);
HWY_EXPORT(LaneGradient);
HWY_EXPORT(LaneSum);

int64_t LaneOutTile() { return HWY_DYNAMIC_DISPATCH(LaneOutTile)(); }

void LaneForward(const LaneConv& conv, const LaneRow& row, const float* src, const float* weights,
                 const float* bias, float* dst) {
  HWY_DYNAMIC_DISPATCH(LaneForward)(conv, row, src, weights, bias, dst);
}

void LaneGradient(const LaneConv& conv, const float* src, const float* diff_dst, float* weight_sums,
                  float* bias_sums) {
  HWY_DYNAMIC_DISPATCH(LaneGradient)(conv, src, diff_dst, weight_sums, bias_sums);
}

void LaneSum(const LaneTotals& totals, const float* from, float* to) {
  HWY_DYNAMIC_DISPATCH(LaneSum)(totals, from, to);
}

}  // namespace weft::kernel
#endif  // HWY_ONCE
