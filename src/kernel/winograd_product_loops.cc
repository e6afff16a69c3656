// The matrix products of winograd_loops.h: a tile of sums stays in registers while it runs over the
// channels (forward) or the tiles (gradient). One operand is loaded as vectors, the other number by
// number.

#include <algorithm>
#include <utility>

#include "kernel/winograd_loops.h"

// Vectors stand in arrays here, which scalable vectors cannot.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernel/winograd_product_loops.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace weft::kernel {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <size_t kBlock>
using Tag = hn::CappedTag<float, kBlock>;

// Sums that fit in the registers beside their operands: rows x columns of vectors.
constexpr int kColumns = 2;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_ARCH_ARM_A64  // 32 registers
constexpr int kRows = 14;
constexpr int kGradientRows = 12;
#else  // 16
constexpr int kRows = 6;
constexpr int kGradientRows = 6;
#endif

int64_t WinogradLanes(int64_t block) {
  return static_cast<int64_t>(block == 8 ? hn::Lanes(Tag<8>()) : hn::Lanes(Tag<16>()));
}

int64_t WinogradColumns() { return kColumns; }

// m[column][row][lane] = sum over vectors of channels and their lanes c of
// u[column][c][lane] * v[vector][row][c].
template <int kTileRows, int kTileColumns, class D>
void MultiplyTile(D tag, const WinogradProduct& p, const float* v, const float* u, float* m) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  hn::Vec<D> sum[kTileRows][kTileColumns];
  for (auto& row : sum) {
    for (auto& one : row) one = hn::Zero(tag);
  }
  for (int64_t vector = 0; vector < p.in_vectors; ++vector, v += p.v.vector) {
    for (int64_t c = 0; c < lanes; ++c, u += lanes) {
      hn::Vec<D> right[kTileColumns];
      for (int j = 0; j < kTileColumns; ++j) right[j] = hn::LoadU(tag, u + j * p.u.vector);
      for (int i = 0; i < kTileRows; ++i) {
        const auto left = hn::Set(tag, v[i * lanes + c]);
        for (int j = 0; j < kTileColumns; ++j) sum[i][j] = hn::MulAdd(left, right[j], sum[i][j]);
      }
    }
  }
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kTileColumns; ++j) {
      hn::StoreU(sum[i][j], tag, m + j * p.m.vector + i * lanes);
    }
  }
}

// d[column][row][lane] (+)= sum over tiles t of y[column][t][lane] * v[t][row].
template <int kTileRows, int kTileColumns, class D>
void GradientTile(D tag, const WinogradGradientProduct& p, const float* v, const float* y,
                  float* d) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  hn::Vec<D> sum[kTileRows][kTileColumns];
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kTileColumns; ++j) {
      sum[i][j] = p.add ? hn::LoadU(tag, d + j * p.d.vector + i * lanes) : hn::Zero(tag);
    }
  }
  for (int64_t t = 0; t < p.tiles; ++t, v += lanes, y += lanes) {
    hn::Vec<D> right[kTileColumns];
    for (int j = 0; j < kTileColumns; ++j) right[j] = hn::LoadU(tag, y + j * p.y.vector);
    for (int i = 0; i < kTileRows; ++i) {
      const auto left = hn::Set(tag, v[i]);
      for (int j = 0; j < kTileColumns; ++j) sum[i][j] = hn::MulAdd(left, right[j], sum[i][j]);
    }
  }
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kTileColumns; ++j) {
      hn::StoreU(sum[i][j], tag, d + j * p.d.vector + i * lanes);
    }
  }
}

// Calls run(std::integral_constant<int, rows>) for a number of rows from 1 to kMost.
template <int kMost, class Run>
HWY_INLINE void WithRows(int64_t rows, const Run& run) {
  if constexpr (kMost > 1) {
    if (rows < kMost) return WithRows<kMost - 1>(rows, run);
  }
  run(std::integral_constant<int, kMost>());
}

// Cuts [0, n) into equal pieces of at most `most`.
template <class Run>
HWY_INLINE void ForPieces(int64_t n, int64_t most, const Run& run) {
  const int64_t pieces = (n + most - 1) / most;
  for (int64_t i = 0; i < pieces; ++i) run(n * i / pieces, n * (i + 1) / pieces);
}

template <class D>
void Multiply(D tag, const WinogradProduct& p, const float* v, const float* u, float* m) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  for (int point = 0; point < p.points; ++point) {
    for (int64_t out = 0; out < p.out_vectors; out += kColumns) {
      const float* right = u + point * p.u.point + out * p.u.vector;
      float* to = m + point * p.m.point + out * p.m.vector;
      ForPieces(p.tiles, kRows, [&](int64_t begin, int64_t end) HWY_ATTR {
        const float* left = v + point * p.v.point + begin * lanes;
        WithRows<kRows>(end - begin, [&](auto rows) HWY_ATTR {
          constexpr int kCount = decltype(rows)::value;
          if (p.out_vectors - out >= kColumns) {
            MultiplyTile<kCount, kColumns>(tag, p, left, right, to + begin * lanes);
          } else {
            MultiplyTile<kCount, 1>(tag, p, left, right, to + begin * lanes);
          }
        });
      });
    }
  }
}

void WinogradMultiply(const WinogradProduct& p, const float* v, const float* u, float* m) {
  p.block == 8 ? Multiply(Tag<8>(), p, v, u, m) : Multiply(Tag<16>(), p, v, u, m);
}

template <class D>
void MultiplyGradient(D tag, const WinogradGradientProduct& p, const float* v, const float* y,
                      float* d) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  for (int point = 0; point < p.points; ++point) {
    for (int64_t out = 0; out < p.out_vectors; out += kColumns) {
      const float* right = y + point * p.y.point + out * p.y.vector;
      for (int64_t in = 0; in < p.in_vectors; ++in) {
        ForPieces(lanes, kGradientRows, [&](int64_t begin, int64_t end) HWY_ATTR {
          const float* left = v + point * p.v.point + in * p.v.vector + begin;
          float* to = d + point * p.d.point + out * p.d.vector + (in * lanes + begin) * lanes;
          WithRows<kGradientRows>(end - begin, [&](auto rows) HWY_ATTR {
            constexpr int kCount = decltype(rows)::value;
            if (p.out_vectors - out >= kColumns) {
              GradientTile<kCount, kColumns>(tag, p, left, right, to);
            } else {
              GradientTile<kCount, 1>(tag, p, left, right, to);
            }
          });
        });
      }
    }
  }
}

void WinogradMultiplyGradient(const WinogradGradientProduct& p, const float* v, const float* y,
                              float* d) {
  p.block == 8 ? MultiplyGradient(Tag<8>(), p, v, y, d) : MultiplyGradient(Tag<16>(), p, v, y, d);
}

}  // namespace HWY_NAMESPACE
}  // namespace weft::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::kernel {

HWY_EXPORT(WinogradLanes);
HWY_EXPORT(WinogradColumns);
HWY_EXPORT(WinogradMultiply);
HWY_EXPORT(WinogradMultiplyGradient);

int64_t WinogradLanes(int64_t block) { return HWY_DYNAMIC_DISPATCH(WinogradLanes)(block); }

int64_t WinogradColumns() { return HWY_DYNAMIC_DISPATCH(WinogradColumns)(); }

void WinogradMultiply(const WinogradProduct& product, const float* v, const float* u, float* m) {
  HWY_DYNAMIC_DISPATCH(WinogradMultiply)(product, v, u, m);
}

void WinogradMultiplyGradient(const WinogradGradientProduct& product, const float* v,
                              const float* y, float* d) {
  HWY_DYNAMIC_DISPATCH(WinogradMultiplyGradient)(product, v, y, d);
}

}  // namespace weft::kernel
#endif  // HWY_ONCE
