// Encode and decode of a 16 MiB vector, in bytes of f32 a second.

#include <benchmark/benchmark.h>

#include "base/hash.h"
#include "codec/codec.h"

namespace {

constexpr size_t kValues = size_t{4} << 20;

std::vector<float> Values() {
  std::vector<float> values(kValues);
  for (size_t i = 0; i < kValues; ++i) values[i] = 1e-3f * static_cast<float>(i % 2003) - 1.0f;
  return values;
}

void Count(benchmark::State& state) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kValues * sizeof(float)));
}

void BM_Encode(benchmark::State& state, const std::string& name, bool with_residual) {
  const auto codec = weft::codec::MakeCodec(name).value();
  const std::vector<float> values = Values();
  std::vector<float> residual(with_residual ? kValues : 0);
  weft::Bytes packet;
  packet.reserve(codec->MaxBytes(kValues));
  for (auto _ : state) {
    packet.clear();
    CHECK(codec->Encode(values, residual, &packet).ok());
  }
  Count(state);
}

void BM_Decode(benchmark::State& state, const std::string& name) {
  const auto codec = weft::codec::MakeCodec(name).value();
  std::vector<float> values = Values();
  weft::Bytes packet;
  CHECK(codec->Encode(values, {}, &packet).ok());
  for (auto _ : state) CHECK(codec->Decode(packet, values).ok());
  Count(state);
}

void BM_Crc32c(benchmark::State& state, bool portable) {
  const weft::Bytes bytes(kValues * sizeof(float), 0x5A);
  for (auto _ : state) {
    benchmark::DoNotOptimize(portable ? weft::base::Crc32cPortable(bytes)
                                      : weft::base::Crc32c(bytes));
  }
  Count(state);
}

BENCHMARK_CAPTURE(BM_Encode, dense, "dense", false);
BENCHMARK_CAPTURE(BM_Encode, fp16, "fp16", false);
BENCHMARK_CAPTURE(BM_Encode, fp16_residual, "fp16", true);
BENCHMARK_CAPTURE(BM_Decode, dense, "dense");
BENCHMARK_CAPTURE(BM_Decode, fp16, "fp16");
BENCHMARK_CAPTURE(BM_Crc32c, cpu, false);
BENCHMARK_CAPTURE(BM_Crc32c, portable, true);

}  // namespace
