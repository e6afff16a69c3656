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

constexpr size_t kMostPasses = 8;

int32_t MagnitudeBits(float value) { return std::bit_cast<int32_t>(value) & 0x7FFFFFFF; }

// The largest threshold that the magnitude passes, 0 for 0.
float JustBelow(float magnitude) {
  return std::bit_cast<float>(std::max(MagnitudeBits(magnitude), 1) - 1);
}

// Thresholds that were tried, for a count of k.
class Search {
 public:
  explicit Search(size_t k) : k_(static_cast<double>(k)) {}

  void Note(float threshold, size_t count) {
    ++passes_;
    const Tried tried{threshold, std::log(std::max(static_cast<double>(count), 0.5) / k_)};
    // Nothing at all is never near: equal values would wait for ever.
    if (count > 0 && std::fabs(tried.excess) < std::fabs(best_.excess)) best_ = tried;
    if (tried.excess > 0 && tried.threshold >= low_.threshold) low_ = tried;
    if (tried.excess <= 0 && tried.threshold <= high_.threshold) high_ = tried;
  }
  bool done() const { return std::fabs(best_.excess) <= std::log(kCountFactor); }
  size_t passes() const { return passes_; }
  float best() const { return best_.threshold; }
  // The next to try: what the sample says, but between those that gave too many and too few.
  float Next(float sampled) const {
    const bool has_high = std::isfinite(high_.threshold);
    if (low_.threshold > 0 && has_high) return Between();
    if (low_.threshold > 0) return std::max(sampled, 1.5f * low_.threshold);
    return has_high ? std::min(sampled, high_.threshold / 1.5f) : sampled;
  }

 private:
  // Where a line through both ends of the bracket has k; in logarithms.
  float Between() const {
    const double part = low_.excess / (low_.excess - high_.excess);
    const double rise = std::log(double{high_.threshold} / low_.threshold);
    return static_cast<float>(low_.threshold * std::exp(rise * part));
  }

  static constexpr double kNever = std::numeric_limits<double>::infinity();
  struct Tried {
    float threshold;
    double excess;  // logarithm of the count over k
  };
  double k_;
  size_t passes_ = 0;
  Tried best_{0, kNever};
  Tried low_{-1, kNever};  // the largest with too many above it
  Tried high_{std::numeric_limits<float>::infinity(), -kNever};
};

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
  if (sums.size() <= kSampleValues) {
    return {.value = JustBelow(Sample(sums, seed, sample)[k - 1]), .estimated = true};
  }
  Search search(k);
  if (last >= 0) search.Note(last, CountAbove(sums, last));
  if (search.done()) return {.value = last, .passes = 1};
  const std::span<const float> sampled = Sample(sums, seed, sample);
  const double scale = static_cast<double>(sampled.size()) / static_cast<double>(sums.size());
  double rank = static_cast<double>(k) * scale;
  while (!search.done() && search.passes() < kMostPasses) {
    const float guess = search.Next(JustBelow(QuantileOf(sampled, rank)));
    const size_t count = CountAbove(sums, guess);
    search.Note(guess, count);
    rank *= static_cast<double>(k) / static_cast<double>(std::max<size_t>(count, 1));
  }
  return {.value = search.best(), .passes = search.passes(), .estimated = true};
}

}  // namespace weft::codec
