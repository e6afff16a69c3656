#pragma once
// FedDataset: a data set of which this device holds only the samples that it was given. It stands
// where a source stands: below normalisation and augmentation.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "data/dataset.h"

namespace weft::data {

// What must be known of a data set without its samples.
struct DataFacts {
  int64_t size = 0;
  Shape shape;
  int64_t classes = 0;
  std::vector<std::string> class_names;
  int feature_axis = 0;
  std::string description;
  bool operator==(const DataFacts&) const = default;
};
DataFacts FactsOf(const Dataset& dataset);

// Threads: one puts and drops; others may read meanwhile, but not the samples being put or dropped.
class FedDataset : public Dataset {
 public:
  explicit FedDataset(DataFacts facts);

  // Keeps the samples of a packet (sample_packet.h), which are those of `indices`, in that order;
  // one that is held stays as it is. Errors, by which nothing is kept: kDataLoss for a damaged
  // packet or one of another number of samples, other shapes or a label that is no class;
  // kInvalidArgument for an index out of range.
  Status Put(std::span<const int64_t> indices, ByteView packet);
  // Forgets samples; those not held are passed over.
  void Drop(std::span<const int64_t> indices);
  bool Has(int64_t index) const { return samples_[static_cast<size_t>(index)] != nullptr; }
  // Of the values held.
  int64_t bytes() const { return bytes_; }

  int64_t size() const override { return facts_.size; }
  Shape sample_shape() const override { return facts_.shape; }
  int64_t classes() const override { return facts_.classes; }
  std::vector<std::string> class_names() const override { return facts_.class_names; }
  int feature_axis() const override { return facts_.feature_axis; }
  std::string description() const override { return facts_.description; }
  // The sample must be held, as for Label.
  int32_t Read(int64_t index, const ReadContext& context, std::span<float> sample) const override;
  int32_t Label(int64_t index) const override;

 private:
  // As in the packet.
  struct Sample {
    int32_t label = 0;
    uint32_t size = 0;
    std::unique_ptr<uint8_t[]> values;
  };
  const Sample& At(int64_t index) const;

  const DataFacts facts_;
  std::vector<std::unique_ptr<Sample>> samples_;  // null: not held
  int64_t bytes_ = 0;
};

}  // namespace weft::data
