#pragma once
// Decorators of a Dataset: normalisation, and what is done at random to training samples. Each draw
// depends only on (seed, epoch, index).

#include <memory>
#include <vector>

#include "data/dataset.h"

namespace weft::data {

// (x - mean[i]) / std[i], one of each for an index of the data set's feature_axis (a channel of
// pictures, a coefficient of sounds), std above 0. Both empty: measured over the first `kMeasured`
// samples of the data set.
struct Normalisation {
  std::vector<float> mean;
  std::vector<float> std;
};
inline constexpr int64_t kMeasured = 5000;
Normalisation MeasureNormalisation(const Dataset& dataset);
std::unique_ptr<Dataset> Normalise(std::unique_ptr<Dataset> inner, Normalisation normalisation);

struct AugmentOptions {
  int64_t crop_pad = 0;  // zero pixels added on each side before a random crop back to size
  bool flip = false;     // mirror left-right with probability one half
  // Frames (rows, H) by which a sound is moved at most, back or forth; what comes free repeats the
  // frame at the edge. As Zhang et al. 2017, "Hello Edge", do with the sound itself.
  int64_t time_shift = 0;
  // Frames in a row that become zero, 0 to this many, from a random one on (Park et al. 2019,
  // "SpecAugment", section 2).
  int64_t time_mask = 0;
  double noise = 0;  // standard deviation of normal noise on every value
  bool operator==(const AugmentOptions&) const = default;
};
// Apply after Normalise, so that zero is the mean and noise is in units of the deviation.
std::unique_ptr<Dataset> Augment(std::unique_ptr<Dataset> inner, const AugmentOptions& options);

// The same samples, for a decorator on top of a data set that others use as well.
std::unique_ptr<Dataset> Share(std::shared_ptr<const Dataset> inner);

// The first n samples.
std::unique_ptr<Dataset> Limit(std::unique_ptr<Dataset> inner, int64_t n);

}  // namespace weft::data
