// Encode and decode of a 16 MiB vector, in bytes of f32 a second.

#include <benchmark/benchmark.h>

#include "base/hash.h"
#include "base/rng.h"
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

// Normal values of which each step sends 1 %; the residual is kept.
std::vector<float> NormalValues(size_t n) {
  weft::base::Rng rng(1);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(rng.NextNormal());
  return values;
}

std::unique_ptr<weft::codec::Codec> Sparse(const std::string& name) {
  const bool selects = name == "chunk-topk" || name == "dgc";
  weft::codec::CodecOptions options{.name = name, .density = selects ? 0.01 : 0};
  if (name == "powersgd") {
    options.tensors = {{.count = int64_t{kValues}, .rows = 2048}};
  }
  return weft::codec::MakeCodec(options).value();
}

void BM_UpdateEncode(benchmark::State& state, const std::string& name) {
  const auto codec = Sparse(name);
  const std::vector<float> values = NormalValues(kValues);
  std::vector<float> residual(kValues);
  weft::Bytes packet;
  for (auto _ : state) {
    packet.clear();
    CHECK(codec->Encode(values, residual, &packet).ok());
  }
  Count(state);
}

void BM_UpdateDecode(benchmark::State& state, const std::string& name) {
  const auto codec = Sparse(name);
  std::vector<float> values = NormalValues(kValues);
  weft::Bytes packet;
  CHECK(codec->Encode(values, {}, &packet).ok());
  for (auto _ : state) CHECK(codec->Decode(packet, values).ok());
  Count(state);
}

void BM_UpdateAdd(benchmark::State& state, const std::string& name) {
  const auto codec = Sparse(name);
  std::vector<float> values = NormalValues(kValues);
  weft::Bytes packet;
  CHECK(codec->Encode(values, {}, &packet).ok());
  for (auto _ : state) CHECK(codec->Add({}, packet, 0.5f, values).ok());
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
BENCHMARK_CAPTURE(BM_UpdateEncode, int8, "int8");
BENCHMARK_CAPTURE(BM_UpdateEncode, 3lc, "3lc");
BENCHMARK_CAPTURE(BM_UpdateEncode, chunk_topk, "chunk-topk");
BENCHMARK_CAPTURE(BM_UpdateEncode, dgc, "dgc");
BENCHMARK_CAPTURE(BM_UpdateEncode, powersgd, "powersgd");
BENCHMARK_CAPTURE(BM_UpdateDecode, int8, "int8");
BENCHMARK_CAPTURE(BM_UpdateDecode, 3lc, "3lc");
BENCHMARK_CAPTURE(BM_UpdateDecode, chunk_topk, "chunk-topk");
BENCHMARK_CAPTURE(BM_UpdateDecode, dgc, "dgc");
BENCHMARK_CAPTURE(BM_UpdateDecode, powersgd, "powersgd");
BENCHMARK_CAPTURE(BM_UpdateAdd, int8, "int8");
BENCHMARK_CAPTURE(BM_UpdateAdd, 3lc, "3lc");
BENCHMARK_CAPTURE(BM_UpdateAdd, chunk_topk, "chunk-topk");
BENCHMARK_CAPTURE(BM_UpdateAdd, dgc, "dgc");
BENCHMARK_CAPTURE(BM_UpdateAdd, powersgd, "powersgd");
BENCHMARK_CAPTURE(BM_Crc32c, cpu, false);
BENCHMARK_CAPTURE(BM_Crc32c, portable, true);

}  // namespace
