#include "plan/update_size.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/check.h"
#include "codec/packet.h"
#include "codec/quantise.h"

namespace weft::plan {
namespace {

using codec::Target;
using codec::Tensor;
using codec::ValueKind;

constexpr auto kChunk = static_cast<int64_t>(codec::kMaxChunkValues);
constexpr int kMostRice = 11;
constexpr double kShortHeader = 3, kLongHeader = 5;  // bits, before a chunk's positions
constexpr int kFirstShort = 5, kLastShort = 9;
// Of a frame, beside what all packets have: run, version, place.
constexpr double kPlaceBytes = 24;
constexpr double kSectionBytes = 2;  // of a tensor

constexpr double kDefaultTopDensity = 64.0 / 4096;
constexpr double kDefaultQuantileDensity = 0.001;
constexpr int64_t kDefaultRank = 4;
// Share of normal values above half of the largest of 4,096: 2 (1 - Phi(3.6 / 2)).
constexpr double kTernaryDensity = 0.072;

double Quantised(ValueKind kind, int64_t count) {
  return static_cast<double>(codec::QuantisedBytes(kind, static_cast<size_t>(count)));
}

// Of the chunks of a stretch of `count` values, each by itself.
double SumOverChunks(int64_t count, const std::function<double(int64_t)>& bytes_of) {
  double bytes = 0;
  if (count >= kChunk) bytes += static_cast<double>(count / kChunk) * bytes_of(kChunk);
  if (count % kChunk > 0) bytes += bytes_of(count % kChunk);
  return bytes;
}

double PositionBytes(int64_t chosen, int64_t span) {
  if (chosen == span) return 1;
  constexpr double kMeanPadding = 0.5;
  return PositionBits(chosen, span) / 8 + kMeanPadding;
}

double SelectedBytes(const Target& target, int64_t count) {
  return SumOverChunks(count, [&](int64_t span) {
    const double wanted = std::ceil(target.density * static_cast<double>(span));
    const int64_t chosen = std::clamp<int64_t>(static_cast<int64_t>(wanted), 1, span);
    return PositionBytes(chosen, span) + Quantised(target.values, chosen);
  });
}

bool Lossless(const Target& target) {
  return target.density >= 1 && target.values == ValueKind::kFloat32;
}

double WholeBytes(ValueKind kind, int64_t count) {
  return SelectedBytes({.density = 1, .values = kind}, count);
}

// Codes of five a byte, or the positions of those that are not 0 and a sign each.
double TernaryBytes(int64_t count) {
  return SumOverChunks(count, [](int64_t span) {
    const auto chosen = static_cast<int64_t>(std::ceil(kTernaryDensity * span));
    const double sparse = PositionBytes(chosen, span) + Quantised(ValueKind::kSign, chosen);
    return std::min(1 + Quantised(ValueKind::kTernary, span), sparse);
  });
}

double LowRankBytes(const Tensor& tensor, int64_t rank) {
  const int64_t factors = rank * (tensor.rows + tensor.count / std::max<int64_t>(1, tensor.rows));
  if (factors >= tensor.count) return WholeBytes(ValueKind::kInt8, tensor.count);
  return WholeBytes(ValueKind::kFloat16, factors);
}

// The tensors, each with what it takes if it is large and trained.
double SumOverTensors(std::span<const Tensor> tensors, int64_t values, bool lossless,
                      const std::function<double(const Tensor&)>& bytes_of) {
  const Tensor whole = {.begin = 0, .count = values};
  if (tensors.empty()) tensors = {&whole, 1};
  double bytes = static_cast<double>(codec::kHeaderBytes) + kPlaceBytes;
  for (const Tensor& tensor : tensors) {
    bytes += kSectionBytes;
    if (lossless) {
      bytes += WholeBytes(ValueKind::kFloat32, tensor.count);
    } else if (!tensor.trained) {
      bytes += WholeBytes(ValueKind::kFloat16, tensor.count);
    } else if (tensor.count < kSmallTensor) {
      bytes += WholeBytes(ValueKind::kInt8, tensor.count);
    } else {
      bytes += bytes_of(tensor);
    }
  }
  return bytes;
}

// Chunks that take their turn to be sent whole (CodecOptions::flush).
double FlushBytes(const codec::CodecOptions& options, int64_t values) {
  if (options.flush <= 0) return 0;
  return WholeBytes(ValueKind::kInt8, values) / static_cast<double>(options.flush);
}

}  // namespace

double PositionBits(int64_t chosen, int64_t span) {
  CHECK(chosen >= 1 && chosen <= span) << chosen << " of " << span;
  if (chosen == span) return kLongHeader;
  const auto k = static_cast<double>(chosen);
  const double q = (static_cast<double>(span) - k) / (static_cast<double>(span) + 1);
  double best = static_cast<double>(span) + kLongHeader;  // a bitmap
  for (int rice = 1; rice <= kMostRice; ++rice) {
    const double passes = std::pow(q, std::exp2(rice));  // a jump of 2^rice
    const double header = rice >= kFirstShort && rice <= kLastShort ? kShortHeader : kLongHeader;
    best = std::min(best, header + k * (rice + 1) + (k * passes + q) / (1 - passes));
  }
  return best;
}

double UpdateBytes(const Target& target, int64_t values, std::span<const Tensor> tensors) {
  return SumOverTensors(tensors, values, Lossless(target),
                        [&](const Tensor& tensor) { return SelectedBytes(target, tensor.count); });
}

Target TargetOf(const codec::CodecOptions& options) {
  Target target;
  if (options.name == "fp16") target.values = ValueKind::kFloat16;
  if (options.name == "int8") target.values = ValueKind::kInt8;
  if (options.name == "3lc") target.values = ValueKind::kTernary;
  if (options.name == "chunk-topk") {
    target = {.density = kDefaultTopDensity, .values = ValueKind::kInt2};
  }
  if (options.name == "dgc") {
    target = {.density = kDefaultQuantileDensity, .values = ValueKind::kFloat16};
  }
  if (options.density > 0) target.density = options.density;
  if (const auto kind = codec::ParseValueKind(options.values); kind.ok()) target.values = *kind;
  return target;
}

double UpdateBytes(const codec::CodecOptions& options, int64_t values) {
  const auto n = static_cast<double>(values);
  if (options.name == "dense") return codec::kHeaderBytes + sizeof(float) * n;
  if (options.name == "fp16") return codec::kHeaderBytes + sizeof(uint16_t) * n;
  const double flush = FlushBytes(options, values);
  if (options.name == "3lc") {
    return flush + SumOverTensors(options.tensors, values, false,
                                  [](const Tensor& tensor) { return TernaryBytes(tensor.count); });
  }
  if (options.name == "powersgd") {
    const int64_t rank = options.rank > 0 ? options.rank : kDefaultRank;
    return flush + SumOverTensors(options.tensors, values, false,
                                  [&](const Tensor& tensor) { return LowRankBytes(tensor, rank); });
  }
  const Target target = TargetOf(options);
  return (target.density < 1 ? flush : 0) + UpdateBytes(target, values, options.tensors);
}

}  // namespace weft::plan
