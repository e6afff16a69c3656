// Positions of 10 million coordinates, chunk after chunk, by density: positions a second.

#include <benchmark/benchmark.h>

#include "base/rng.h"
#include "codec/positions.h"

namespace {

constexpr size_t kCoordinates = 10'000'000;

using Chunks = std::vector<std::vector<uint16_t>>;

double Density(const benchmark::State& state) { return 1e-3 * static_cast<double>(state.range(0)); }

Chunks RandomChunks(double density) {
  weft::base::Rng rng(1);
  Chunks chunks((kCoordinates + weft::codec::kMaxSpan - 1) / weft::codec::kMaxSpan);
  for (std::vector<uint16_t>& chunk : chunks) {
    for (size_t i = 0; i < weft::codec::kMaxSpan; ++i) {
      if (rng.NextUniform() < density) chunk.push_back(static_cast<uint16_t>(i));
    }
  }
  return chunks;
}

void Pack(const Chunks& chunks, weft::Bytes* bytes) {
  weft::codec::BitWriter writer(bytes);
  for (const std::vector<uint16_t>& chunk : chunks) {
    weft::codec::PackPositions(chunk, weft::codec::kMaxSpan, &writer);
  }
  writer.Align();
}

void Count(benchmark::State& state, const Chunks& chunks, const weft::Bytes& bytes) {
  size_t positions = 0;
  for (const std::vector<uint16_t>& chunk : chunks) positions += chunk.size();
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(positions));
  state.counters["bits_a_position"] =
      8.0 * static_cast<double>(bytes.size()) / static_cast<double>(positions);
}

void BM_PackPositions(benchmark::State& state) {
  const Chunks chunks = RandomChunks(Density(state));
  weft::Bytes bytes;
  bytes.reserve(chunks.size() * (weft::codec::MostPackedBits(weft::codec::kMaxSpan) / 8 + 1));
  for (auto _ : state) {
    bytes.clear();
    Pack(chunks, &bytes);
  }
  Count(state, chunks, bytes);
}

void BM_UnpackPositions(benchmark::State& state) {
  const Chunks chunks = RandomChunks(Density(state));
  weft::Bytes bytes;
  Pack(chunks, &bytes);
  std::vector<uint16_t> positions;
  for (auto _ : state) {
    weft::codec::BitReader reader(bytes);
    for (size_t i = 0; i < chunks.size(); ++i) {
      CHECK(weft::codec::UnpackPositions(weft::codec::kMaxSpan, &reader, &positions).ok());
    }
    benchmark::DoNotOptimize(positions.data());
  }
  Count(state, chunks, bytes);
}

// In thousandths.
BENCHMARK(BM_PackPositions)->Arg(1)->Arg(10)->Arg(100)->Arg(500);
BENCHMARK(BM_UnpackPositions)->Arg(1)->Arg(10)->Arg(100)->Arg(500);

}  // namespace
