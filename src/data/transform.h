#pragma once
// Decorators of a Dataset: normalisation, random crop and horizontal flip. Each draw depends only
// on (seed, epoch, index).

#include <memory>
#include <vector>

#include "data/dataset.h"

namespace weft::data {

// (x - mean[c]) / std[c], one of each a channel (C), std above 0. Both empty: measured over the
// first `kMeasured` samples of the data set.
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
};
// Apply after Normalise, so that the padding is the mean colour.
std::unique_ptr<Dataset> Augment(std::unique_ptr<Dataset> inner, const AugmentOptions& options);

// The first n samples.
std::unique_ptr<Dataset> Limit(std::unique_ptr<Dataset> inner, int64_t n);

}  // namespace weft::data
