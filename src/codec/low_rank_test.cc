#include "codec/low_rank.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace weft::codec {
namespace {

std::vector<float> Normal(uint64_t seed, size_t n) {
  base::Rng rng(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(rng.NextNormal());
  return values;
}

// A B^T with A of rows x rank and B of cols x rank.
std::vector<float> MatrixOfRank(size_t rows, size_t cols, size_t rank) {
  const std::vector<float> a = Normal(1, rows * rank);
  const std::vector<float> b = Normal(2, cols * rank);
  std::vector<float> values(rows * cols);
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t k = 0; k < rank; ++k) {
      values[i] += a[i / cols * rank + k] * b[i % cols * rank + k];
    }
  }
  return values;
}

std::vector<float> Product(const Matrix& matrix, const Bytes& bytes) {
  std::vector<float> values(matrix.count, std::numeric_limits<float>::quiet_NaN());
  const auto product = FactorProduct::Open(matrix, bytes[0], ByteView(bytes).subspan(1));
  EXPECT_TRUE(product.ok()) << product.status().ToString();
  product->ForEachStretch([&](size_t begin, std::span<const float> part) {
    std::copy(part.begin(), part.end(), values.begin() + static_cast<std::ptrdiff_t>(begin));
  });
  return values;
}

double ErrorOf(const std::vector<float>& want, const std::vector<float>& got) {
  double error = 0;
  double whole = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error += std::pow(double{want[i]} - got[i], 2);
    whole += std::pow(double{want[i]}, 2);
  }
  return std::sqrt(error / whole);
}

// Of one update after another of the same values.
double ErrorAfter(int updates, const Matrix& matrix, const std::vector<float>& values,
                  size_t rank) {
  std::vector<float> warm;
  Bytes bytes;
  for (int i = 0; i < updates; ++i) {
    bytes.clear();
    EXPECT_TRUE(WriteFactors(matrix, values, rank, 5, &warm, &bytes));
    EXPECT_EQ(bytes.size(), 2 + FactorBytes(matrix, rank));
  }
  return ErrorOf(values, Product(matrix, bytes));
}

TEST(LowRank, RecoversAMatrixOfItsRank) {
  for (const size_t rank : {1, 2, 3, 8}) {
    // More columns than one block of the product, for 8.
    for (const auto& [rows, cols] : {std::pair<size_t, size_t>{64, 576}, {301, 601}}) {
      const Matrix matrix{.rows = rows, .cols = cols, .count = rows * cols};
      const std::vector<float> values = MatrixOfRank(rows, cols, rank);
      EXPECT_LT(ErrorAfter(1, matrix, values, rank), 2e-3) << rank;
    }
  }
}

TEST(LowRank, WarmStartsFindTheLargestParts) {
  const Matrix matrix{.rows = 100, .cols = 200, .count = 20000};
  std::vector<float> values = MatrixOfRank(100, 200, 2);
  const std::vector<float> noise = Normal(9, values.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] += 0.2f * noise[i];
  const double first = ErrorAfter(1, matrix, values, 2);
  const double later = ErrorAfter(5, matrix, values, 2);
  EXPECT_LT(later, first);
  EXPECT_LT(later, 0.16);  // the noise alone is 0.14
}

TEST(LowRank, APieceMayBeginAndEndWithinARow) {
  const Tensor tensor{.begin = 1000, .count = 300 * 500, .rows = 300};
  // From row 2, column 100 to row 202, column 7.
  const Piece piece{.begin = 10, .count = 200 * 500 - 93, .tensor = tensor};
  const Matrix matrix = MatrixOf(piece, 1000 + 2 * 500 + 100 - 10);
  EXPECT_EQ(matrix.rows, 201u);
  EXPECT_EQ(matrix.skip, 100u);
  const std::vector<float> all = MatrixOfRank(300, 500, 2);
  const std::vector<float> values(all.begin() + 1100, all.begin() + 1100 + 200 * 500 - 93);
  EXPECT_LT(ErrorAfter(20, matrix, values, 4), 5e-3);  // what is missing is 0: two ranks more
}

TEST(LowRank, OrderOfMagnitudeDoesNotMatter) {
  const Matrix matrix{.rows = 100, .cols = 200, .count = 20000};
  for (const float scale : {1e-12f, 1e12f}) {
    std::vector<float> values = MatrixOfRank(100, 200, 2);
    for (float& value : values) value *= scale;
    EXPECT_LT(ErrorAfter(2, matrix, values, 2), 2e-3);
  }
}

TEST(LowRank, ZerosAreSentAndLeftAgain) {
  const Matrix matrix{.rows = 100, .cols = 200, .count = 20000};
  std::vector<float> warm;
  Bytes bytes;
  ASSERT_TRUE(WriteFactors(matrix, std::vector<float>(20000), 2, 5, &warm, &bytes));
  EXPECT_EQ(Product(matrix, bytes), std::vector<float>(20000));
  bytes.clear();
  const std::vector<float> values = MatrixOfRank(100, 200, 2);
  ASSERT_TRUE(WriteFactors(matrix, values, 2, 5, &warm, &bytes));
  EXPECT_LT(ErrorOf(values, Product(matrix, bytes)), 2e-3);
}

TEST(LowRank, WhatHasNoFactorsIsSentWhole) {
  std::vector<float> warm;
  Bytes bytes;
  const Matrix thin{.rows = 3, .cols = 1000, .count = 3000};
  EXPECT_FALSE(WriteFactors(thin, std::vector<float>(3000, 1.0f), 2, 5, &warm, &bytes));
  const Matrix huge{.rows = 100, .cols = 200, .count = 20000};
  EXPECT_FALSE(WriteFactors(huge, std::vector<float>(20000, 1e38f), 2, 5, &warm, &bytes));
  EXPECT_EQ(bytes, Bytes({0, 0}));
}

TEST(LowRank, FactorsThatAreNotFiniteAreRefused) {
  const Matrix matrix{.rows = 100, .cols = 200, .count = 20000};
  std::vector<float> warm;
  Bytes bytes;
  ASSERT_TRUE(WriteFactors(matrix, MatrixOfRank(100, 200, 2), 2, 5, &warm, &bytes));
  const auto open = [&](const Bytes& of) {
    return FactorProduct::Open(matrix, 2, ByteView(of).subspan(1)).status().code();
  };
  for (const size_t at : {size_t{3}, bytes.size() - 1}) {
    Bytes wrong = bytes;
    wrong[at] = 0x7C;
    EXPECT_EQ(open(wrong), Code::kDataLoss);
  }
  for (const uint8_t exponent : {0, 63, 192, 255}) {
    Bytes wrong = bytes;
    wrong[1] = exponent;
    EXPECT_EQ(open(wrong), Code::kDataLoss);
  }
  bytes.pop_back();
  EXPECT_EQ(open(bytes), Code::kDataLoss);
}

}  // namespace
}  // namespace weft::codec
