// The transforms of winograd_loops.h. A 2-D transform is a 1-D one (a "line") along both axes.

#include <algorithm>

#include "kernel/winograd_loops.h"

// Vectors stand in arrays here, which scalable vectors cannot.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernel/winograd_transform_loops.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace weft::kernel {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <size_t kBlock>
using Tag = hn::CappedTag<float, kBlock>;
template <class D>
using Vec = hn::Vec<D>;

constexpr float kA = 0.70710678118654752f;  // sqrt(1/2)
constexpr float kB = 1.41421356237309505f;  // sqrt(2)

// B^T of an input patch.
struct InputLine {
  template <class D, class V>
  static HWY_INLINE void Run(D, const V (&d)[4], V (&t)[4]) {
    t[0] = hn::Sub(d[0], d[2]);
    t[1] = hn::Add(d[1], d[2]);
    t[2] = hn::Sub(d[2], d[1]);
    t[3] = hn::Sub(d[3], d[1]);
  }
  template <class D, class V>
  static HWY_INLINE void Run(D tag, const V (&d)[6], V (&t)[6]) {
    const V two = hn::Set(tag, 2.0f), half = hn::Set(tag, 0.5f), mid = hn::Set(tag, 2.5f);
    const V even_a = hn::NegMulAdd(two, d[2], d[4]);
    const V odd_a = hn::Mul(hn::Set(tag, kA), hn::NegMulAdd(two, d[1], d[3]));
    const V even_b = hn::NegMulAdd(half, d[2], d[4]);
    const V odd_b = hn::Mul(hn::Set(tag, kB), hn::NegMulAdd(half, d[1], d[3]));
    t[0] = hn::NegMulAdd(mid, d[2], hn::Add(d[0], d[4]));
    t[1] = hn::Add(even_a, odd_a);
    t[2] = hn::Sub(even_a, odd_a);
    t[3] = hn::Add(even_b, odd_b);
    t[4] = hn::Sub(even_b, odd_b);
    t[5] = hn::NegMulAdd(mid, d[3], hn::Add(d[1], d[5]));
  }
};

// G of 3 weights, or of a tile of the output gradient (2 or 4 numbers).
struct KernelLine {
  template <class D, class V>
  static HWY_INLINE void Run(D tag, const V (&g)[3], V (&u)[4]) {
    const V half = hn::Set(tag, 0.5f);
    const V ends = hn::Mul(half, hn::Add(g[0], g[2]));
    u[0] = g[0];
    u[1] = hn::MulAdd(half, g[1], ends);
    u[2] = hn::NegMulAdd(half, g[1], ends);
    u[3] = g[2];
  }
  template <class D, class V>
  static HWY_INLINE void Run(D tag, const V (&g)[2], V (&u)[4]) {
    const V half = hn::Set(tag, 0.5f);
    u[0] = g[0];
    u[1] = hn::Mul(half, hn::Add(g[0], g[1]));
    u[2] = hn::Mul(half, hn::Sub(g[0], g[1]));
    u[3] = g[1];
  }
  template <class D, class V>
  static HWY_INLINE void Run(D tag, const V (&g)[3], V (&u)[6]) {
    u[0] = g[0];
    Pairs(tag, g[0], g[2], g[1], u);
    u[5] = g[2];
  }
  template <class D, class V>
  static HWY_INLINE void Run(D tag, const V (&g)[4], V (&u)[6]) {
    const V two = hn::Set(tag, 2.0f), half = hn::Set(tag, 0.5f);
    u[0] = g[0];
    Pair(tag, -2.0f / 3, hn::MulAdd(half, g[2], g[0]), kA, hn::MulAdd(half, g[3], g[1]), &u[1]);
    Pair(tag, 1.0f / 6, hn::MulAdd(two, g[2], g[0]), kB, hn::MulAdd(two, g[3], g[1]), &u[3]);
    u[5] = g[3];
  }

 private:
  // u[0], u[1] = factor * (even +- root * odd)
  template <class D, class V>
  static HWY_INLINE void Pair(D tag, float factor, V even, float root, V odd, V* u) {
    const V scaled = hn::Mul(hn::Set(tag, factor), even);
    const V turned = hn::Mul(hn::Set(tag, factor * root), odd);
    u[0] = hn::Add(scaled, turned);
    u[1] = hn::Sub(scaled, turned);
  }
  template <class D, class V>
  static HWY_INLINE void Pairs(D tag, V first, V square, V odd, V (&u)[6]) {
    Pair(tag, -2.0f / 3, hn::MulAdd(hn::Set(tag, 0.5f), square, first), kA, odd, &u[1]);
    Pair(tag, 1.0f / 6, hn::MulAdd(hn::Set(tag, 2.0f), square, first), kB, odd, &u[3]);
  }
};

// A^T: the products back to outputs.
struct OutputLine {
  template <class D, class V>
  static HWY_INLINE void Run(D, const V (&m)[4], V (&y)[2]) {
    y[0] = hn::Add(m[0], hn::Add(m[1], m[2]));
    y[1] = hn::Add(m[3], hn::Sub(m[1], m[2]));
  }
  template <class D, class V>
  static HWY_INLINE void Run(D tag, const V (&m)[6], V (&y)[4]) {
    const V sum_a = hn::Add(m[1], m[2]), diff_a = hn::Sub(m[1], m[2]);
    const V sum_b = hn::Add(m[3], m[4]), diff_b = hn::Sub(m[3], m[4]);
    const V once = hn::MulAdd(hn::Set(tag, kA), diff_a, hn::Mul(hn::Set(tag, kB), diff_b));
    const V cubed =
        hn::MulAdd(hn::Set(tag, 0.5f * kA), diff_a, hn::Mul(hn::Set(tag, 2.0f * kB), diff_b));
    y[0] = hn::Add(m[0], hn::Add(sum_a, sum_b));
    y[1] = once;
    y[2] = hn::MulAdd(hn::Set(tag, 0.5f), sum_a, hn::Mul(hn::Set(tag, 2.0f), sum_b));
    y[3] = hn::Add(m[5], cubed);
  }
};

// A^T of the weights' gradient: 3 outputs.
struct GradientLine {
  template <class D, class V>
  static HWY_INLINE void Run(D, const V (&m)[4], V (&y)[3]) {
    const V sum = hn::Add(m[1], m[2]);
    y[0] = hn::Add(m[0], sum);
    y[1] = hn::Sub(m[1], m[2]);
    y[2] = hn::Add(m[3], sum);
  }
  template <class D, class V>
  static HWY_INLINE void Run(D tag, const V (&m)[6], V (&y)[3]) {
    const V sum_a = hn::Add(m[1], m[2]), diff_a = hn::Sub(m[1], m[2]);
    const V sum_b = hn::Add(m[3], m[4]), diff_b = hn::Sub(m[3], m[4]);
    y[0] = hn::Add(m[0], hn::Add(sum_a, sum_b));
    y[1] = hn::MulAdd(hn::Set(tag, kA), diff_a, hn::Mul(hn::Set(tag, kB), diff_b));
    y[2] = hn::MulAdd(hn::Set(tag, 0.5f), sum_a, hn::MulAdd(hn::Set(tag, 2.0f), sum_b, m[5]));
  }
};

template <class Line, class D, class V, int kIn, int kOut>
HWY_INLINE void Square(D tag, const V (&in)[kIn][kIn], V (&out)[kOut][kOut]) {
  V half[kOut][kIn];
  for (int c = 0; c < kIn; ++c) {
    V column[kIn];
    V made[kOut];
    for (int r = 0; r < kIn; ++r) column[r] = in[r][c];
    Line::Run(tag, column, made);
    for (int r = 0; r < kOut; ++r) half[r][c] = made[r];
  }
  for (int r = 0; r < kOut; ++r) Line::Run(tag, half[r], out[r]);
}

// Where a tile's corner lies in its image.
struct Corner {
  int64_t image, y, x;
  Corner(const WinogradGrid& g, int64_t tile)
      : image(tile / (g.rows * g.cols)),
        y(tile / g.cols % g.rows * g.tile),
        x(tile % g.cols * g.tile) {}
};

// The pixels of one image's block of channels, at the lanes of channel `channel`.
HWY_INLINE int64_t PlaneOffset(const BlockedImage& b, int64_t image, int64_t channel) {
  return ((image * b.channels / b.block + channel / b.block) * b.height * b.width) * b.block +
         channel % b.block;
}

template <class D, class V, int kSide>
HWY_INLINE void LoadSquare(D tag, const BlockedImage& b, const float* plane, int64_t y, int64_t x,
                           V (&square)[kSide][kSide]) {
  if (y >= 0 && x >= 0 && y + kSide <= b.height && x + kSide <= b.width) {
    for (int r = 0; r < kSide; ++r) {
      const float* row = plane + ((y + r) * b.width + x) * b.block;
      for (int c = 0; c < kSide; ++c) square[r][c] = hn::LoadU(tag, row + c * b.block);
    }
    return;
  }
  for (int r = 0; r < kSide; ++r) {
    const bool row_inside = y + r >= 0 && y + r < b.height;
    const float* row = plane + ((y + r) * b.width + x) * b.block;
    for (int c = 0; c < kSide; ++c) {
      const bool inside = row_inside && x + c >= 0 && x + c < b.width;
      square[r][c] = inside ? hn::LoadU(tag, row + c * b.block) : hn::Zero(tag);
    }
  }
}

// Reads kIn x kIn squares at the tiles' corners, moved by the padding, and writes kSide^2 points.
template <class Line, int kIn, int kSide, class D>
void TransformTiles(D tag, const WinogradPatches& p, int64_t pad_top, int64_t pad_left,
                    const float* src, float* to) {
  using V = Vec<D>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  for (int64_t vector = p.vectors.begin; vector < p.vectors.end; ++vector) {
    for (int64_t tile = p.tiles.begin; tile < p.tiles.end; ++tile) {
      const Corner at(p.grid, tile);
      V square[kIn][kIn];
      V points[kSide][kSide];
      LoadSquare(tag, p.image, src + PlaneOffset(p.image, at.image, vector * lanes), at.y - pad_top,
                 at.x - pad_left, square);
      Square<Line>(tag, square, points);
      float* out = to + vector * p.to.vector + (tile - p.tiles.begin) * lanes;
      for (int r = 0; r < kSide; ++r) {
        for (int c = 0; c < kSide; ++c, out += p.to.point) hn::StoreU(points[r][c], tag, out);
      }
    }
  }
}

void WinogradInput(const WinogradPatches& p, const float* src, float* v) {
  const auto run = [&](auto tag) HWY_ATTR {
    if (p.grid.tile == 2) {
      TransformTiles<InputLine, 4, 4>(tag, p, p.pad_top, p.pad_left, src, v);
    } else {
      TransformTiles<InputLine, 6, 6>(tag, p, p.pad_top, p.pad_left, src, v);
    }
  };
  p.image.block == 8 ? run(Tag<8>()) : run(Tag<16>());
}

void WinogradDiff(const WinogradPatches& p, const float* diff_dst, float* y) {
  const auto run = [&](auto tag) HWY_ATTR {
    if (p.grid.tile == 2) {
      TransformTiles<KernelLine, 2, 4>(tag, p, 0, 0, diff_dst, y);
    } else {
      TransformTiles<KernelLine, 4, 6>(tag, p, 0, 0, diff_dst, y);
    }
  };
  p.image.block == 8 ? run(Tag<8>()) : run(Tag<16>());
}

// Nine vectors `step` floats apart to kSide^2 points; backward in order if turned by 180 degrees.
template <int kSide, class D>
HWY_INLINE void TransformKernel(D tag, const float* from, int64_t step, bool turned,
                                int64_t point_stride, float* to) {
  using V = Vec<D>;
  V kernel[3][3];
  V points[kSide][kSide];
  for (int k = 0; k < 9; ++k) {
    kernel[k / 3][k % 3] = hn::LoadU(tag, from + (turned ? 8 - k : k) * step);
  }
  Square<KernelLine>(tag, kernel, points);
  for (int r = 0; r < kSide; ++r) {
    for (int c = 0; c < kSide; ++c, to += point_stride) hn::StoreU(points[r][c], tag, to);
  }
}

// to[o][i] = from[i][o] for `rows` x `columns` floats; rows follow at the strides.
HWY_INLINE void Transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns,
                          float* to, int64_t to_stride) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t o = 0; o < columns; ++o) to[o * to_stride + i] = from[i * from_stride + o];
  }
#else
  const hn::FixedTag<float, 4> d;
  for (int64_t i = 0; i < rows; i += 4) {
    for (int64_t o = 0; o < columns; o += 4) {
      const float* in = from + i * from_stride + o;
      float* out = to + o * to_stride + i;
      const auto a = hn::LoadU(d, in), b = hn::LoadU(d, in + from_stride);
      const auto c = hn::LoadU(d, in + 2 * from_stride), e = hn::LoadU(d, in + 3 * from_stride);
      const auto ac = hn::InterleaveLower(d, a, c), be = hn::InterleaveLower(d, b, e);
      const auto ac_high = hn::InterleaveUpper(d, a, c), be_high = hn::InterleaveUpper(d, b, e);
      hn::StoreU(hn::InterleaveLower(d, ac, be), d, out);
      hn::StoreU(hn::InterleaveUpper(d, ac, be), d, out + to_stride);
      hn::StoreU(hn::InterleaveLower(d, ac_high, be_high), d, out + 2 * to_stride);
      hn::StoreU(hn::InterleaveUpper(d, ac_high, be_high), d, out + 3 * to_stride);
    }
  }
#endif
}

template <int kSide, size_t kBlock>
void TransformWeights(const WinogradKernels& k, const float* weights, float* u) {
  const Tag<kBlock> tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  constexpr auto kSquare = static_cast<int64_t>(kBlock * kBlock);
  const int64_t in_blocks = k.shape.in / static_cast<int64_t>(kBlock);
  const int64_t out_blocks = k.shape.out / static_cast<int64_t>(kBlock);
  constexpr auto kWidth = static_cast<int64_t>(kBlock);
  HWY_ALIGN float turned[9 * kBlock * kBlock];  // [9][block of out][lanes of in]
  for (int64_t vector = k.vectors.begin; vector < k.vectors.end; ++vector) {
    const int64_t block = vector * lanes / kWidth;
    const int64_t lane = vector * lanes % kWidth;
    float* to = u + (vector - k.vectors.begin) * k.to.vector;
    for (int64_t other = 0; other < (k.transposed ? out_blocks : in_blocks); ++other) {
      const float* from =
          weights +
          (k.transposed ? other * in_blocks + block : block * in_blocks + other) * 9 * kSquare;
      int64_t step = kSquare, item_step = kWidth;
      if (k.transposed) {
        step = kWidth * lanes;
        item_step = lanes;
        for (int64_t tap = 0; tap < 9; ++tap) {
          Transpose(from + tap * kSquare + lane * kWidth, kWidth, lanes, kWidth,
                    turned + tap * step, lanes);
        }
        from = turned;
      } else {
        from += lane;
      }
      for (int64_t item = 0; item < kWidth; ++item, to += lanes) {
        // Nine streams of single lines are too many for the hardware to follow.
        for (int64_t tap = 0; tap < 9 && !k.transposed; ++tap) {
          hwy::Prefetch(from + (9 + tap) * kSquare + item * item_step);
        }
        TransformKernel<kSide>(tag, from + item * item_step, step, k.transposed, k.to.point, to);
      }
    }
  }
}

void WinogradWeights(const WinogradKernels& k, const float* weights, float* u) {
  if (k.shape.block == 8) {
    k.tile == 2 ? TransformWeights<4, 8>(k, weights, u) : TransformWeights<6, 8>(k, weights, u);
  } else {
    k.tile == 2 ? TransformWeights<4, 16>(k, weights, u) : TransformWeights<6, 16>(k, weights, u);
  }
}

template <int kTile, class D>
void TransformOutput(D tag, const WinogradResult& result, const float* m, const float* bias,
                     float* dst) {
  using V = Vec<D>;
  constexpr int kSide = kTile + 2;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  const BlockedImage& b = result.image;
  const V slope = hn::Set(tag, result.slope);
  for (int64_t vector = result.vectors.begin; vector < result.vectors.end; ++vector) {
    const V shift = bias == nullptr ? hn::Zero(tag) : hn::LoadU(tag, bias + vector * lanes);
    const float* from = m + (vector - result.vectors.begin) * result.from.vector;
    for (int64_t tile = result.tiles.begin; tile < result.tiles.end; ++tile, from += lanes) {
      V points[kSide][kSide];
      V square[kTile][kTile];
      const float* point = from;
      for (int r = 0; r < kSide; ++r) {
        for (int c = 0; c < kSide; ++c, point += result.from.point) {
          points[r][c] = hn::LoadU(tag, point);
        }
      }
      Square<OutputLine>(tag, points, square);
      const Corner at(result.grid, tile);
      float* plane = dst + PlaneOffset(b, at.image, vector * lanes);
      const auto rows = static_cast<int>(std::min<int64_t>(kTile, b.height - at.y));
      const auto cols = static_cast<int>(std::min<int64_t>(kTile, b.width - at.x));
      for (int r = 0; r < kTile; ++r) {
        float* row = plane + ((at.y + r) * b.width + at.x) * b.block;
        for (int c = 0; c < kTile; ++c) {
          if (r >= rows || c >= cols) continue;
          V value = hn::Add(square[r][c], shift);
          if (result.slope != 1) {
            value = hn::IfThenElse(hn::Gt(value, hn::Zero(tag)), value, hn::Mul(slope, value));
          }
          hn::StoreU(value, tag, row + c * b.block);
        }
      }
    }
  }
}

void WinogradOutput(const WinogradResult& result, const float* m, const float* bias, float* dst) {
  const auto run = [&](auto tag) HWY_ATTR {
    result.grid.tile == 2 ? TransformOutput<2>(tag, result, m, bias, dst)
                          : TransformOutput<4>(tag, result, m, bias, dst);
  };
  result.image.block == 8 ? run(Tag<8>()) : run(Tag<16>());
}

template <int kSide, size_t kBlock>
void TransformGradient(const WinogradKernels& k, const float* d, float* diff_weights) {
  const Tag<kBlock> tag;
  using V = Vec<Tag<kBlock>>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  constexpr auto kWidth = static_cast<int64_t>(kBlock);
  for (int64_t vector = k.vectors.begin; vector < k.vectors.end; ++vector) {
    const float* from = d + (vector - k.vectors.begin) * k.to.vector;
    const int64_t block = vector * lanes / kWidth;
    for (int64_t in = 0; in < k.shape.in; ++in, from += lanes) {
      V points[kSide][kSide];
      V kernel[3][3];
      const float* point = from;
      for (int r = 0; r < kSide; ++r) {
        for (int c = 0; c < kSide; ++c, point += k.to.point) points[r][c] = hn::LoadU(tag, point);
      }
      Square<GradientLine>(tag, points, kernel);
      float* to = diff_weights + (block * k.shape.in / kWidth + in / kWidth) * 9 * kWidth * kWidth +
                  in % kWidth * kWidth + vector * lanes % kWidth;
      for (int tap = 0; tap < 9; ++tap) {
        hn::StoreU(kernel[tap / 3][tap % 3], tag, to + tap * kWidth * kWidth);
      }
    }
  }
}

void WinogradWeightsGradient(const WinogradKernels& k, const float* d, float* diff_weights) {
  if (k.shape.block == 8) {
    k.tile == 2 ? TransformGradient<4, 8>(k, d, diff_weights)
                : TransformGradient<6, 8>(k, d, diff_weights);
  } else {
    k.tile == 2 ? TransformGradient<4, 16>(k, d, diff_weights)
                : TransformGradient<6, 16>(k, d, diff_weights);
  }
}

void WinogradBiasGradient(const BlockedImage& image, int64_t batch, const WinogradRange& vectors,
                          const float* diff_dst, float* sums) {
  const auto run = [&](auto tag) HWY_ATTR {
    const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
    for (int64_t vector = vectors.begin; vector < vectors.end; ++vector) {
      auto total = hn::Zero(tag);
      for (int64_t n = 0; n < batch; ++n) {
        const float* plane = diff_dst + PlaneOffset(image, n, vector * lanes);
        auto sum = hn::Zero(tag);  // of one image: short sums stay exact longer
        for (int64_t i = 0; i < image.height * image.width; ++i) {
          sum = hn::Add(sum, hn::LoadU(tag, plane + i * image.block));
        }
        total = hn::Add(total, sum);
      }
      hn::StoreU(total, tag, sums + vector * lanes);
    }
  };
  image.block == 8 ? run(Tag<8>()) : run(Tag<16>());
}

}  // namespace HWY_NAMESPACE
}  // namespace weft::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::kernel {

HWY_EXPORT(WinogradInput);
HWY_EXPORT(WinogradDiff);
HWY_EXPORT(WinogradWeights);
HWY_EXPORT(WinogradOutput);
HWY_EXPORT(WinogradWeightsGradient);
HWY_EXPORT(WinogradBiasGradient);

void WinogradInput(const WinogradPatches& patches, const float* src, float* v) {
  HWY_DYNAMIC_DISPATCH(WinogradInput)(patches, src, v);
}

void WinogradDiff(const WinogradPatches& patches, const float* diff_dst, float* y) {
  HWY_DYNAMIC_DISPATCH(WinogradDiff)(patches, diff_dst, y);
}

void WinogradWeights(const WinogradKernels& kernels, const float* weights, float* u) {
  HWY_DYNAMIC_DISPATCH(WinogradWeights)(kernels, weights, u);
}

void WinogradOutput(const WinogradResult& result, const float* m, const float* bias, float* dst) {
  HWY_DYNAMIC_DISPATCH(WinogradOutput)(result, m, bias, dst);
}

void WinogradWeightsGradient(const WinogradKernels& kernels, const float* d, float* diff_weights) {
  HWY_DYNAMIC_DISPATCH(WinogradWeightsGradient)(kernels, d, diff_weights);
}

void WinogradBiasGradient(const BlockedImage& image, int64_t batch, const WinogradRange& vectors,
                          const float* diff_dst, float* sums) {
  HWY_DYNAMIC_DISPATCH(WinogradBiasGradient)(image, batch, vectors, diff_dst, sums);
}

}  // namespace weft::kernel
#endif  // HWY_ONCE
