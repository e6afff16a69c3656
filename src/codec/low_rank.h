#pragma once
// LowRank: a matrix as the product of two thin ones, P Q^T, by one step of subspace iteration from
// the Q of the update before: P = M Q, made orthonormal, and Q = M^T P.
// Source: Vogels et al. 2019, PowerSGD, algorithms 1 and 2. There P is averaged over all workers
// before it is made orthonormal; here each worker's product stands for itself, and is averaged.
//
// The bytes of one matrix:
//
//   0  u8   rank       0: no factors; the values follow whole
//   1  u8   exponent   e, kLeastExponent..kMostExponent: Q is scaled by 2^(e - 127)
//   2  ...  P          rows x rank binary16
//      ...  Q          rank x cols binary16
//
// Factors of 11 significant bits have an exact product in f32. The sum over the rank is taken in
// order, so that every machine decodes the same bits.

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "codec/pieces.h"

namespace weft::codec {

inline constexpr size_t kMostRank = 32;
inline constexpr int kLeastExponent = 64;  // no product is subnormal
inline constexpr int kMostExponent = 191;  // nor is a sum above the largest f32

// All rows that a piece touches; of the first and the last it may have only a part. What it does
// not have counts as 0.
struct Matrix {
  size_t rows = 0;
  size_t cols = 0;
  size_t skip = 0;   // values of the first row before the piece
  size_t count = 0;  // of the piece

  // The part of row i that the piece has: from which value of the piece, which column, how many.
  struct Run {
    size_t begin;
    size_t col;
    size_t count;
  };
  Run RowOf(size_t i) const;
};
Matrix MatrixOf(const Piece& piece, int64_t range_begin);

// Behind the rank and the exponent.
size_t FactorBytes(const Matrix& matrix, size_t rank);
// Whether factors take fewer bytes than the values as int8.
bool FactorsPay(const Matrix& matrix, size_t rank);

// Appends all of the above but not the whole values. False, with rank 0, if factors do not pay or
// are out of range.
//   values  [matrix.count] f32  read, finite
//   warm    [rank x cols] f32   Q of the update before up to its scale, read and written; empty at
//                               first
bool WriteFactors(const Matrix& matrix, std::span<const float> values, size_t rank, uint64_t seed,
                  std::vector<float>* warm, Bytes* out);

// P Q^T of checked bytes, a stretch at a time. Threads: any.
class FactorProduct {
 public:
  //   bytes  exponent, P and Q; not owned
  // Errors: kDataLoss for an exponent out of range or a factor that is not finite.
  static Result<FactorProduct> Open(const Matrix& matrix, size_t rank, ByteView bytes);

  // Calls visit(begin, values) of stretches that make up the piece, in no order.
  template <class Visit>
  void ForEachStretch(Visit visit) const {
    std::array<float, kBlockValues> q;
    std::array<float, kBlockValues> sums;
    for (size_t col = 0; col < matrix_.cols; col += block_cols()) {
      const size_t n = std::min(block_cols(), matrix_.cols - col);
      LoadQ(col, n, q);
      for (size_t row = 0; row < matrix_.rows; ++row) {
        const Matrix::Run run = matrix_.RowOf(row);
        const size_t first = std::max(run.col, col);
        const size_t end = std::min(run.col + run.count, col + n);
        if (first >= end) continue;
        const std::span<float> out = std::span(sums).first(end - first);
        MultiplyRow(row, std::span<const float>(q).subspan(first - col), n, out);
        visit(run.begin + (first - run.col), std::span<const float>(out));
      }
    }
  }

 private:
  static constexpr size_t kBlockValues = 4096;

  FactorProduct(const Matrix& matrix, size_t rank, ByteView bytes)
      : matrix_(matrix), rank_(rank), bytes_(bytes) {}
  size_t block_cols() const { return kBlockValues / rank_; }
  // Columns col..col+n of Q, rank x n.
  void LoadQ(size_t col, size_t n, std::span<float> q) const;
  // out[j] = sum over k of P[row, k] q[k * stride + j]
  void MultiplyRow(size_t row, std::span<const float> q, size_t stride, std::span<float> out) const;

  Matrix matrix_;
  size_t rank_;
  ByteView bytes_;
};

}  // namespace weft::codec
