#pragma once
// A threshold that about k of n magnitudes reach, from a sample, kept from one update to the next.
// Source: Lin et al. 2018, Deep Gradient Compression, section 3.1 and algorithm 4 (top of a sample;
// where too many pass, chosen again among them). Here a count that is off moves the threshold along
// the sample's quantiles, then between what gave too many and what gave too few, so that nothing is
// gathered.

#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::codec {

// A count within k / kCountFactor and k * kCountFactor is taken.
inline constexpr double kCountFactor = 1.25;

// Magnitudes that are sampled; from as many values or fewer the threshold is exact.
inline constexpr size_t kSampleValues = 4096;

// values + residual, without having them summed up.
struct Sums {
  std::span<const float> values;
  std::span<const float> residual;  // empty, or of the same size

  size_t size() const { return values.size(); }
  float operator[](size_t i) const {
    return residual.empty() ? values[i] : values[i] + residual[i];
  }
};

struct Threshold {
  float value = 0;         // select where the magnitude is above
  size_t passes = 0;       // over all values, that it took
  bool estimated = false;  // false: the last one was good enough
};

// How many magnitudes are above.
size_t CountAbove(const Sums& sums, float threshold);

// At most eight passes; then the threshold is the one that came nearest. Equal magnitudes pass
// together, so that none waits for ever; zeros never do.
//   k       1..n
//   last    threshold of the update before; negative: there is none
//   seed    which of the values are sampled
//   sample  [kSampleValues] scratch
// Threads: any on disjoint scratch.
Threshold FindThreshold(const Sums& sums, size_t k, float last, uint64_t seed,
                        std::span<float> sample);

}  // namespace weft::codec
