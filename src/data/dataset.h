#pragma once
// Dataset: labelled samples by index. Sources (one file each) read a format into memory; decorators
// (normalise, augment) wrap a source; batches.h turns indices into batches.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "tensor/shape.h"

namespace weft::data {

// Which draw of augmentation a read belongs to: the same (seed, epoch, index) gives the same pixels
// everywhere.
struct ReadContext {
  uint64_t seed = 0;
  int64_t epoch = 0;
};

// Immutable after opening; threads: any.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual Shape sample_shape() const = 0;  // (C, H, W)
  virtual int64_t classes() const = 0;
  // Of the classes in order; empty where they are but numbers.
  virtual std::vector<std::string> class_names() const { return {}; }
  // The axis of sample_shape along which values are of different kinds, so that each kind is
  // normalised by itself: the channel of a picture, the coefficient of a sound.
  virtual int feature_axis() const { return 0; }
  // Writes sample `index` (0..size-1) as f32 (C, H, W) and returns its label. Before normalisation
  // pixels are in [0, 1].
  virtual int32_t Read(int64_t index, const ReadContext& context,
                       std::span<float> sample) const = 0;
  // The label that Read returns, without the sample.
  virtual int32_t Label(int64_t index) const = 0;
  virtual std::string description() const = 0;
};

struct OpenOptions {
  // "idx:DIR", "cifar10:DIR", "cifar100:DIR", "wav:DIR", "synthetic:shapes?n=6000&seed=1"; what
  // each takes stands in idx.h, cifar.h, wav_folder.h and synthetic.h.
  std::string source;
  bool train = true;  // which split of a source that holds both
};

// Errors: kNotFound for a missing file or folder (names it), kDataLoss for a damaged one (file,
// byte, got, wanted; a label out of range names the sample), kInvalidArgument for an unknown
// source, with a did-you-mean.
Result<std::unique_ptr<Dataset>> OpenDataset(const OpenOptions& options);

}  // namespace weft::data
