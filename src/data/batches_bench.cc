// Samples a second that one thread makes ready for the engine.

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "base/rng.h"
#include "data/batches.h"
#include "data/labelled_images.h"
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
    ReadBatch(dataset, 1, true, range, &batch);
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
BENCHMARK(Plain28x28);
BENCHMARK(Augmented28x28);
BENCHMARK(Augmented3x32x32);
BENCHMARK(DrawShapes);

}  // namespace
}  // namespace weft::data
