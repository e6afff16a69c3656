#include "data/fed_dataset.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/check.h"
#include "data/sample_packet.h"

namespace weft::data {
namespace {

Status CheckFits(const SamplePacket& packet, std::span<const int64_t> indices,
                 const DataFacts& facts) {
  if (packet.samples() != std::ssize(indices) || packet.values() != facts.shape.elements()) {
    return DataLoss(fmt::format("fed samples: got {} of {} values, want {} of {}", packet.samples(),
                                packet.values(), indices.size(), facts.shape.elements()));
  }
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= facts.size) {
      return InvalidArgument(
          fmt::format("fed samples: got sample {}, want 0..{}", indices[i], facts.size - 1));
    }
    const int32_t label = packet.label(static_cast<int64_t>(i));
    if (label >= 0 && label < facts.classes) continue;
    return DataLoss(fmt::format("fed samples: label of sample {}: got {}, want 0..{}", indices[i],
                                label, facts.classes - 1));
  }
  return OkStatus();
}

}  // namespace

DataFacts FactsOf(const Dataset& dataset) {
  return {.size = dataset.size(),
          .shape = dataset.sample_shape(),
          .classes = dataset.classes(),
          .class_names = dataset.class_names(),
          .feature_axis = dataset.feature_axis(),
          .description = dataset.description()};
}

FedDataset::FedDataset(DataFacts facts)
    : facts_(std::move(facts)), samples_(static_cast<size_t>(facts_.size)) {}

Status FedDataset::Put(std::span<const int64_t> indices, ByteView packet) {
  ASSIGN_OR_RETURN(const SamplePacket samples, SamplePacket::Open(packet));
  RETURN_IF_ERROR(CheckFits(samples, indices, facts_));
  for (size_t i = 0; i < indices.size(); ++i) {
    std::unique_ptr<Sample>& held = samples_[static_cast<size_t>(indices[i])];
    if (held != nullptr) continue;
    const ByteView raw = samples.raw(static_cast<int64_t>(i));
    held = std::make_unique<Sample>();
    held->label = samples.label(static_cast<int64_t>(i));
    held->size = static_cast<uint32_t>(raw.size());
    held->values = std::make_unique<uint8_t[]>(raw.size());
    std::memcpy(held->values.get(), raw.data(), raw.size());
    bytes_ += std::ssize(raw);
  }
  return OkStatus();
}

void FedDataset::Drop(std::span<const int64_t> indices) {
  for (const int64_t index : indices) {
    CHECK(index >= 0 && index < size()) << "sample " << index;
    std::unique_ptr<Sample>& held = samples_[static_cast<size_t>(index)];
    if (held != nullptr) bytes_ -= held->size;
    held = nullptr;
  }
}

const FedDataset::Sample& FedDataset::At(int64_t index) const {
  CHECK(index >= 0 && index < size() && Has(index)) << "sample " << index << " is not here";
  return *samples_[static_cast<size_t>(index)];
}

int32_t FedDataset::Read(int64_t index, const ReadContext&, std::span<float> sample) const {
  const Sample& held = At(index);
  ReadPacketValues({held.values.get(), held.size}, sample);
  return held.label;
}

int32_t FedDataset::Label(int64_t index) const { return At(index).label; }

}  // namespace weft::data
