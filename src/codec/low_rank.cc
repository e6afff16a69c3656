#include "codec/low_rank.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "codec/half.h"

namespace weft::codec {
namespace {

constexpr size_t kHalf = sizeof(uint16_t);
// Of a column of P whose length is so small a part of what it was before the others were taken out,
// rounding errors are all that is left.
constexpr double kDependent = 1e-5;

// In eight sums side by side, a fixed order that vectorises.
double Dot(const float* a, const float* b, size_t n) {
  constexpr size_t kLanes = 8;
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  double sum = 0;
  for (const float part : sums) sum += part;
  for (; i < n; ++i) sum += double{a[i]} * b[i];
  return sum;
}

void Axpy(float scale, const float* x, float* y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] += scale * x[i];
}

double Length(std::span<const float> x) {
  double sum = 0;
  for (const float value : x) sum += double{value} * value;
  return std::sqrt(sum);
}

// Columns that were lost, or all at the start, begin at random.
void FillEmptyColumns(size_t cols, size_t rank, uint64_t seed, std::vector<float>* q) {
  q->resize(cols * rank);
  base::Rng rng(seed);
  for (size_t k = 0; k < rank; ++k) {
    const std::span<float> column = std::span(*q).subspan(k * cols, cols);
    if (Length(column) > 0) continue;
    for (float& value : column) value = static_cast<float>(rng.NextNormal());
  }
}

// Modified Gram-Schmidt; a column that depends on those before it becomes 0.
//   p  [rank x rows] f32
void Orthonormalise(size_t rows, size_t rank, std::span<float> p) {
  for (size_t k = 0; k < rank; ++k) {
    const std::span<float> column = p.subspan(k * rows, rows);
    const double before = Length(column);
    for (size_t other = 0; other < k; ++other) {
      const float* const unit = p.data() + other * rows;
      Axpy(static_cast<float>(-Dot(unit, column.data(), rows)), unit, column.data(), rows);
    }
    const double length = Length(column);
    const double scale = length > kDependent * before ? 1 / length : 0;
    for (float& value : column) value = static_cast<float>(value * scale);
  }
}

// P = M Q, as rank x rows.
void TimesQ(const Matrix& matrix, std::span<const float> values, std::span<const float> q,
            std::span<float> p) {
  const size_t rank = p.size() / matrix.rows;
  for (size_t i = 0; i < matrix.rows; ++i) {
    const Matrix::Run run = matrix.RowOf(i);
    for (size_t k = 0; k < rank; ++k) {
      const double sum =
          Dot(values.data() + run.begin, q.data() + k * matrix.cols + run.col, run.count);
      p[k * matrix.rows + i] = static_cast<float>(sum);
    }
  }
}

// Q = M^T P, as rank x cols.
void TransposedTimesP(const Matrix& matrix, std::span<const float> values, std::span<const float> p,
                      std::span<float> q) {
  const size_t rank = p.size() / matrix.rows;
  std::fill(q.begin(), q.end(), 0.0f);
  for (size_t i = 0; i < matrix.rows; ++i) {
    const Matrix::Run run = matrix.RowOf(i);
    for (size_t k = 0; k < rank; ++k) {
      Axpy(p[k * matrix.rows + i], values.data() + run.begin, q.data() + k * matrix.cols + run.col,
           run.count);
    }
  }
}

bool AllFinite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

// Such that the largest of Q lies in [1, 2) then.
int ExponentOf(std::span<const float> q) {
  float largest = 0;
  for (const float value : q) largest = std::max(largest, std::fabs(value));
  return std::max(kLeastExponent, static_cast<int>(std::bit_cast<uint32_t>(largest) >> 23));
}

float ScaleOf(int exponent) { return std::bit_cast<float>(static_cast<uint32_t>(exponent) << 23); }

void PutHalf(float value, uint8_t* out) {
  const uint16_t half = HalfFromFloat(value);
  std::memcpy(out, &half, kHalf);
}

}  // namespace

Matrix::Run Matrix::RowOf(size_t i) const {
  const size_t begin = i == 0 ? skip : i * cols;
  const size_t end = std::min((i + 1) * cols, skip + count);
  return {begin - skip, begin - i * cols, end - begin};
}

Matrix MatrixOf(const Piece& piece, int64_t range_begin) {
  const size_t cols = static_cast<size_t>(piece.tensor.count / piece.tensor.rows);
  const int64_t at = range_begin + static_cast<int64_t>(piece.begin) - piece.tensor.begin;
  const size_t skip = static_cast<size_t>(at) % cols;
  return {.rows = (skip + piece.count + cols - 1) / cols,
          .cols = cols,
          .skip = skip,
          .count = piece.count};
}

size_t FactorBytes(const Matrix& matrix, size_t rank) {
  return kHalf * rank * (matrix.rows + matrix.cols);
}

bool FactorsPay(const Matrix& matrix, size_t rank) {
  return FactorBytes(matrix, rank) < matrix.count;
}

bool WriteFactors(const Matrix& matrix, std::span<const float> values, size_t rank, uint64_t seed,
                  std::vector<float>* warm, Bytes* out) {
  CHECK(rank >= 1 && rank <= kMostRank) << rank;
  if (!FactorsPay(matrix, rank)) {
    out->push_back(0);
    return false;
  }
  FillEmptyColumns(matrix.cols, rank, seed, warm);
  std::vector<float> p(rank * matrix.rows);
  TimesQ(matrix, values, *warm, p);
  Orthonormalise(matrix.rows, rank, p);
  for (float& value : p) value = FloatFromHalf(HalfFromFloat(value));
  TransposedTimesP(matrix, values, p, *warm);
  if (!AllFinite(p) || !AllFinite(*warm) || ExponentOf(*warm) > kMostExponent) {
    warm->clear();
    out->push_back(0);
    return false;
  }
  const int exponent = ExponentOf(*warm);
  out->push_back(static_cast<uint8_t>(rank));
  out->push_back(static_cast<uint8_t>(exponent));
  const size_t at = out->size();
  out->resize(at + FactorBytes(matrix, rank));
  uint8_t* to = out->data() + at;
  for (size_t i = 0; i < matrix.rows; ++i) {
    for (size_t k = 0; k < rank; ++k, to += kHalf) PutHalf(p[k * matrix.rows + i], to);
  }
  for (float& value : *warm) {
    value /= ScaleOf(exponent);  // which the next P has no use for
    PutHalf(value, to);
    to += kHalf;
  }
  return true;
}

Result<FactorProduct> FactorProduct::Open(const Matrix& matrix, size_t rank, ByteView bytes) {
  if (bytes.size() != 1 + FactorBytes(matrix, rank)) return DataLoss("factors: wrong size");
  if (bytes[0] < kLeastExponent || bytes[0] > kMostExponent) {
    return DataLoss(fmt::format("factors, exponent: got {}, want {}..{}", bytes[0], kLeastExponent,
                                kMostExponent));
  }
  for (size_t i = 1; i < bytes.size(); i += kHalf) {
    if ((bytes[i + 1] & 0x7C) == 0x7C) return DataLoss("factors: one is not finite");
  }
  return FactorProduct(matrix, rank, bytes);
}

void FactorProduct::LoadQ(size_t col, size_t n, std::span<float> q) const {
  const float scale = ScaleOf(bytes_[0]);
  const uint8_t* const factors = bytes_.data() + 1 + kHalf * rank_ * matrix_.rows;
  for (size_t k = 0; k < rank_; ++k) {
    FloatsFromHalves(factors + kHalf * (k * matrix_.cols + col), q.subspan(k * n, n));
  }
  for (size_t i = 0; i < rank_ * n; ++i) q[i] *= scale;
}

void FactorProduct::MultiplyRow(size_t row, std::span<const float> q, size_t stride,
                                std::span<float> out) const {
  std::array<float, kMostRank> p;
  FloatsFromHalves(bytes_.data() + 1 + kHalf * row * rank_, std::span(p).first(rank_));
  for (size_t j = 0; j < out.size(); ++j) out[j] = p[0] * q[j];
  for (size_t k = 1; k < rank_; ++k) Axpy(p[k], q.data() + k * stride, out.data(), out.size());
}

}  // namespace weft::codec
