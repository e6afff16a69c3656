#include "codec/select_quantile.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "base/check.h"
#include "base/rng.h"

namespace weft::codec {
namespace {

constexpr size_t kMostPasses = 4;

int32_t MagnitudeBits(float value) { return std::bit_cast<int32_t>(value) & 0x7FFFFFFF; }

// The largest threshold that the magnitude passes, 0 for 0.
float JustBelow(float magnitude) {
  return std::bit_cast<float>(std::max(MagnitudeBits(magnitude), 1) - 1);
}

bool IsNear(size_t count, size_t k) {
  const double ratio = static_cast<double>(count) / static_cast<double>(k);
  return ratio <= kCountFactor && ratio * kCountFactor >= 1;
}

// One magnitude of each stretch of equal length, descending.
std::span<float> Sample(const Sums& sums, uint64_t seed, std::span<float> sample) {
  const size_t n = sums.size();
  const size_t size = std::min(n, kSampleValues);
  for (size_t i = 0; i < size; ++i) {
    const size_t begin = i * n / size;
    const size_t length = (i + 1) * n / size - begin;
    const size_t at = static_cast<size_t>(base::Uniform(seed, i) * static_cast<double>(length));
    sample[i] = std::fabs(sums[begin + at]);
  }
  std::sort(sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(size), std::greater<>());
  return sample.first(size);
}

// The magnitude that `rank` of the sample reach; between two, on the line of their logarithms.
// Above the largest it goes on as fast as it rises from the second.
float QuantileOf(std::span<const float> sample, double rank) {
  const double last = static_cast<double>(sample.size());
  const double at = std::clamp(rank, 0.25, last) - 1;
  const size_t low = static_cast<size_t>(std::max(std::floor(at), 0.0));
  const size_t high = std::min(low + 1, sample.size() - 1);
  if (sample[high] == 0) return sample[low];
  const double rise = std::log(double{sample[low]} / sample[high]);
  const double exact = sample[low] * std::exp(-rise * (at - static_cast<double>(low)));
  return static_cast<float>(std::min(exact, double{std::numeric_limits<float>::max()}));
}

}  // namespace

size_t CountAbove(const Sums& sums, float threshold) {
  const int32_t border = MagnitudeBits(threshold);
  constexpr size_t kRun = size_t{1} << 20;  // counts of 32 bits vectorise
  size_t total = 0;
  for (size_t begin = 0; begin < sums.size(); begin += kRun) {
    const size_t n = std::min(kRun, sums.size() - begin);
    const float* const values = sums.values.data() + begin;
    int32_t count = 0;
    if (sums.residual.empty()) {
      for (size_t i = 0; i < n; ++i) count += MagnitudeBits(values[i]) > border ? 1 : 0;
    } else {
      const float* const residual = sums.residual.data() + begin;
      for (size_t i = 0; i < n; ++i) {
        count += MagnitudeBits(values[i] + residual[i]) > border ? 1 : 0;
      }
    }
    total += static_cast<size_t>(count);
  }
  return total;
}

Threshold FindThreshold(const Sums& sums, size_t k, float last, uint64_t seed,
                        std::span<float> sample) {
  CHECK(k >= 1 && k <= sums.size()) << k << " of " << sums.size();
  CHECK_LE(kSampleValues, sample.size());
  Threshold threshold{.value = last};
  if (sums.size() <= kSampleValues) {
    threshold.value = JustBelow(Sample(sums, seed, sample)[k - 1]);
    threshold.estimated = true;
    return threshold;
  }
  if (last >= 0) {
    ++threshold.passes;
    if (IsNear(CountAbove(sums, last), k)) return threshold;
  }
  const std::span<const float> sampled = Sample(sums, seed, sample);
  threshold.estimated = true;
  double rank = static_cast<double>(k) * static_cast<double>(sampled.size()) /
                static_cast<double>(sums.size());
  while (true) {
    threshold.value = JustBelow(QuantileOf(sampled, rank));
    if (threshold.passes == kMostPasses) return threshold;
    ++threshold.passes;
    const size_t count = CountAbove(sums, threshold.value);
    if (IsNear(count, k)) return threshold;
    rank *= static_cast<double>(k) / static_cast<double>(std::max<size_t>(count, 1));
  }
}

}  // namespace weft::codec
