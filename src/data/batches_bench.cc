// Samples a second that one thread makes ready for the engine.

#include <benchmark/benchmark.h>

#include <numeric>

#include "base/check.h"
#include "base/rng.h"
#include "data/batches.h"
#include "data/fed_dataset.h"
#include "data/labelled_images.h"
#include "data/sample_packet.h"
#include "data/synthetic.h"
#include "data/transform.h"

namespace weft::data {
namespace {

std::unique_ptr<Dataset> RandomImages(const Shape& shape) {
  constexpr size_t kCount = 2000;
  base::Rng rng(1);
  Bytes pixels(kCount * static_cast<size_t>(shape.elements()));
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(rng.Next());
  return DatasetFromImages({.shape = shape,
                            .classes = 10,
                            .pixels = std::move(pixels),
                            .labels = Bytes(kCount),
                            .description = "random"});
}

void Run(benchmark::State& state, const Dataset& dataset) {
  constexpr int64_t kBatch = 128;
  Batch batch;
  BatchRange range{.epoch = 0, .begin = 0, .count = kBatch};
  for (auto _ : state) {
    ReadBatch(dataset, SampleOrder::Whole(1, dataset.size()), range, &batch);
    benchmark::DoNotOptimize(batch.samples.data());
    range.begin += kBatch;
    if (range.begin + kBatch > dataset.size()) range = {range.epoch + 1, 0, kBatch};
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}

void Plain28x28(benchmark::State& state) { Run(state, *RandomImages({1, 28, 28})); }
void Augmented28x28(benchmark::State& state) {
  Run(state, *Augment(Normalise(RandomImages({1, 28, 28}), {}), {.crop_pad = 2, .flip = true}));
}
void Augmented3x32x32(benchmark::State& state) {
  Run(state, *Augment(Normalise(RandomImages({3, 32, 32}), {}), {.crop_pad = 4, .flip = true}));
}
void DrawShapes(benchmark::State& state) {
  Bytes pixels(kShapesPixels);
  int64_t index = 0;
  for (auto _ : state) benchmark::DoNotOptimize(DrawShape({}, index++, pixels));
  state.SetItemsProcessed(state.iterations());
}
// What a store does for a device, and the device with it.
std::vector<int64_t> FirstIndices(int64_t n) {
  std::vector<int64_t> indices(static_cast<size_t>(n));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}
void EncodePacket3x32x32(benchmark::State& state) {
  const auto images = RandomImages({3, 32, 32});
  const std::vector<int64_t> indices = FirstIndices(1000);
  for (auto _ : state) {
    Bytes packet;
    EncodeSamples(*images, indices, &packet);
    benchmark::DoNotOptimize(packet.data());
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
void KeepPacket3x32x32(benchmark::State& state) {
  const auto images = RandomImages({3, 32, 32});
  const std::vector<int64_t> indices = FirstIndices(1000);
  Bytes packet;
  EncodeSamples(*images, indices, &packet);
  FedDataset fed(FactsOf(*images));
  for (auto _ : state) {
    CHECK(fed.Put(indices, packet).ok());
    fed.Drop(indices);
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(EncodePacket3x32x32);
BENCHMARK(KeepPacket3x32x32);
BENCHMARK(Plain28x28);
BENCHMARK(Augmented28x28);
BENCHMARK(Augmented3x32x32);
BENCHMARK(DrawShapes);

}  // namespace
}  // namespace weft::data
