#include "aggregate/combine.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace weft::aggregate {
namespace {

void CheckSizes(Vectors vectors, size_t n) {
  CHECK(!vectors.empty());
  for (const std::span<const float>& vector : vectors) CHECK_EQ(vector.size(), n);
}

// An order in which a NaN has a place too, the last.
bool Less(float a, float b) {
  if (std::isnan(a)) return false;
  return std::isnan(b) || a < b;
}

// The mean of the values from `begin` to `end` in the order of their size, of each coordinate.
void MeanOfRanks(Vectors vectors, size_t begin, size_t end, std::span<float> out) {
  std::vector<float> values(vectors.size());
  for (size_t i = 0; i < out.size(); ++i) {
    for (size_t j = 0; j < values.size(); ++j) values[j] = vectors[j][i];
    std::sort(values.begin(), values.end(), Less);
    double sum = 0;
    for (size_t rank = begin; rank < end; ++rank) sum += static_cast<double>(values[rank]);
    out[i] = static_cast<float>(sum / static_cast<double>(end - begin));
  }
}

}  // namespace

void Average(Vectors vectors, std::span<float> out) {
  WeightedAverage(vectors, std::vector<double>(vectors.size(), 1.0), out);
}

void WeightedAverage(Vectors vectors, std::span<const double> weights, std::span<float> out) {
  CheckSizes(vectors, out.size());
  CHECK_EQ(weights.size(), vectors.size());
  double total = 0;
  for (double weight : weights) {
    CHECK(weight >= 0);
    total += weight;
  }
  CHECK(total > 0);
  for (size_t i = 0; i < out.size(); ++i) {
    double sum = 0;
    for (size_t j = 0; j < vectors.size(); ++j) {
      sum += weights[j] * static_cast<double>(vectors[j][i]);
    }
    out[i] = static_cast<float>(sum / total);
  }
}

void Median(Vectors vectors, std::span<float> out) {
  CheckSizes(vectors, out.size());
  const size_t m = vectors.size();
  MeanOfRanks(vectors, (m - 1) / 2, m / 2 + 1, out);
}

void TrimmedMean(Vectors vectors, double trim, std::span<float> out) {
  CheckSizes(vectors, out.size());
  CHECK(trim >= 0 && trim < 0.5);
  const size_t m = vectors.size();
  const auto cut = static_cast<size_t>(trim * static_cast<double>(m));
  MeanOfRanks(vectors, cut, m - cut, out);
}

}  // namespace weft::aggregate
