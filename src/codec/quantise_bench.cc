// Quantise and dequantise chunks of 4,096 and of 64 values, in bytes of f32 a second.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "codec/quantise.h"

namespace {

using weft::codec::ValueKind;

std::vector<float> Values(size_t n) {
  weft::base::Rng rng(1);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(rng.NextNormal());
  return values;
}

void Count(benchmark::State& state, ValueKind kind, size_t n) {
  state.SetLabel(std::string(weft::codec::ValueKindName(kind)));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * n * sizeof(float)));
}

void BM_Quantise(benchmark::State& state) {
  const auto kind = static_cast<ValueKind>(state.range(0));
  const std::vector<float> values = Values(static_cast<size_t>(state.range(1)));
  std::vector<uint8_t> bytes(weft::codec::QuantisedBytes(kind, values.size()));
  for (auto _ : state) {
    weft::codec::Quantise(kind, values, bytes.data());
    benchmark::DoNotOptimize(bytes.data());
    benchmark::ClobberMemory();
  }
  Count(state, kind, values.size());
}

void BM_Dequantise(benchmark::State& state) {
  const auto kind = static_cast<ValueKind>(state.range(0));
  std::vector<float> values = Values(static_cast<size_t>(state.range(1)));
  std::vector<uint8_t> bytes(weft::codec::QuantisedBytes(kind, values.size()));
  weft::codec::Quantise(kind, values, bytes.data());
  for (auto _ : state) {
    CHECK(weft::codec::Dequantise(kind, bytes, values).ok());
    benchmark::DoNotOptimize(values.data());
    benchmark::ClobberMemory();
  }
  Count(state, kind, values.size());
}

BENCHMARK(BM_Quantise)->ArgsProduct({{0, 1, 2, 3, 4, 5, 6}, {4096, 64}});
BENCHMARK(BM_Dequantise)->ArgsProduct({{0, 1, 2, 3, 4, 5, 6}, {4096, 64}});

}  // namespace
