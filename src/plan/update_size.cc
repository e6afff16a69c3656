#include "plan/update_size.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "codec/low_rank.h"
#include "codec/packet.h"
#include "codec/pieces.h"
#include "codec/quantise.h"
#include "codec/selection.h"

namespace weft::plan {
namespace {

using codec::Target;
using codec::Tensor;
using codec::TensorClass;
using codec::ValueKind;

constexpr auto kChunk = static_cast<int64_t>(codec::kMaxSpan);
// A frame's prefix, its identity, the numbers of its place, and a byte or two for each class.
constexpr double kFrameBytes = 8 + 4 + 9 + 4;
// Of positions: the header by their parameter, and the bits that fill up a byte, on average.
constexpr double kShortHeader = 3, kLongHeader = 5;
constexpr int kFirstShort = 5, kLastShort = 9, kMostRice = 11;
constexpr double kPaddingBits = 3.5;
// As update_codec.cc has them.
constexpr double kTopDensity = 64.0 / 4096;
constexpr double kThresholdDensity = 0.001;
constexpr double kSmallTensorGain = 64;
constexpr int64_t kDefaultRank = 2;
// Share of normal values that 3LC sends, after many updates whose rest is carried on.
constexpr double kTernaryDensity = 0.025;

double Quantised(ValueKind kind, int64_t count) {
  const int64_t last = count % kChunk;
  return static_cast<double>(count / kChunk) *
             static_cast<double>(codec::QuantisedBytes(kind, codec::kMaxChunkValues)) +
         static_cast<double>(codec::QuantisedBytes(kind, static_cast<size_t>(last)));
}

// Adds up the bytes of chunks as SelectionWriter groups them.
class Groups {
 public:
  explicit Groups(ValueKind kind) : kind_(kind) {}

  // So many chunks that are alike.
  void Add(int64_t chunks, double chosen, int64_t span) {
    const double bits = PositionBits(chosen, span);
    const double most = static_cast<double>(codec::kGroupValues);
    while (chunks > 0) {
      // All that a group has room for; an empty one, as often as it fills up.
      const double room = std::max(1.0, std::ceil((most - values_) / std::max(chosen, 1e-9)));
      const int64_t group = std::min(chunks, static_cast<int64_t>(room));
      const int64_t times = bits_ == 0 && group < chunks ? chunks / group : 1;
      bits_ += static_cast<double>(group) * bits;
      values_ += static_cast<double>(group) * chosen;
      if (values_ >= most) End(times);
      chunks -= group * times;
    }
  }

  void End(int64_t times = 1) {
    if (bits_ == 0) return;
    const double bytes = (bits_ + kPaddingBits) / 8 + Quantised(kind_, std::llround(values_));
    bytes_ += static_cast<double>(times) * bytes;
    bits_ = 0;
    values_ = 0;
  }

  double bytes() const { return bytes_; }

 private:
  ValueKind kind_;
  double bits_ = 0;    // of the open group
  double values_ = 0;  // likewise
  double bytes_ = 0;   // of those that ended
};

// How the values of large tensors are chosen.
enum class Choice { kTop, kThreshold, kTernary, kLowRank };

struct Plan {
  Choice choice = Choice::kTop;
  Target target;
  int64_t rank = kDefaultRank;
  int64_t flush = 0;
};

double ChosenOf(Choice choice, double density, int64_t span) {
  const double wanted = density * static_cast<double>(span);
  return choice == Choice::kTop ? std::min(std::ceil(wanted), static_cast<double>(span)) : wanted;
}

// A share of the chunks goes whole instead, as int8.
double WithFlush(double sparse_bytes, int64_t count, int64_t flush) {
  if (flush <= 0) return sparse_bytes;
  const double whole = Quantised(ValueKind::kInt8, count);
  return sparse_bytes + (whole - sparse_bytes) / static_cast<double>(flush);
}

double SparseBytes(const Plan& plan, int64_t count) {
  const auto chosen = [&](int64_t span) {
    return ChosenOf(plan.choice, plan.target.density, span);
  };
  const int64_t last = count % kChunk;
  Groups groups(plan.target.values);
  groups.Add(count / kChunk, chosen(kChunk), kChunk);
  if (last > 0) groups.Add(1, chosen(last), last);
  groups.End();
  return WithFlush(groups.bytes(), count, plan.flush);
}

double TernaryChunkBytes(int64_t span) {
  const double chosen = kTernaryDensity * static_cast<double>(span);
  return (PositionBits(chosen, span) + kPaddingBits) / 8 +
         Quantised(ValueKind::kSign, std::llround(chosen));
}

double TernaryBytes(const Plan& plan, int64_t count) {
  const int64_t last = count % kChunk;
  double bytes = static_cast<double>(count / kChunk) * TernaryChunkBytes(kChunk);
  if (last > 0) bytes += TernaryChunkBytes(last);
  return WithFlush(bytes, count, plan.flush);
}

double LowRankBytes(const Tensor& tensor, int64_t rank) {
  const codec::Matrix matrix = {.rows = static_cast<size_t>(tensor.rows),
                                .cols = static_cast<size_t>(tensor.count / tensor.rows),
                                .skip = 0,
                                .count = static_cast<size_t>(tensor.count)};
  const auto r = static_cast<size_t>(rank);
  if (!codec::FactorsPay(matrix, r)) return 1 + Quantised(ValueKind::kInt8, tensor.count);
  return 2 + static_cast<double>(codec::FactorBytes(matrix, r));
}

double LargeBytes(const Plan& plan, const Tensor& tensor) {
  if (plan.choice == Choice::kLowRank) return LowRankBytes(tensor, plan.rank);
  if (plan.choice == Choice::kTernary) return TernaryBytes(plan, tensor.count);
  if (plan.target.density >= 1) return Quantised(plan.target.values, tensor.count);
  return SparseBytes(plan, tensor.count);
}

// Of all small tensors: many of their values, which share scales across tensors.
double SmallBytes(const Plan& plan, std::span<const Tensor> tensors) {
  const double density = std::min(1.0, kSmallTensorGain * plan.target.density);
  int64_t count = 0;
  double whole = 0;
  Groups groups(plan.target.values);
  for (const Tensor& tensor : tensors) {
    if (codec::ClassOf(tensor) != TensorClass::kSmall) continue;
    whole += Quantised(std::min(plan.target.values, ValueKind::kInt8), tensor.count);
    count += tensor.count;
    if (density < 1) groups.Add(1, ChosenOf(Choice::kTop, density, tensor.count), tensor.count);
  }
  groups.End();
  return density < 1 ? WithFlush(groups.bytes(), count, plan.flush) : whole;
}

double BytesOf(const Plan& plan, int64_t values, std::span<const Tensor> tensors) {
  if (values == 0) return kFrameBytes;
  const Tensor whole = {.begin = 0, .count = values};
  if (tensors.empty()) tensors = {&whole, 1};
  const bool lossless = plan.target == Target();
  double bytes = kFrameBytes + SmallBytes(plan, tensors);
  for (const Tensor& tensor : tensors) {
    const TensorClass which = codec::ClassOf(tensor);
    if (which == TensorClass::kLarge) bytes += LargeBytes(plan, tensor);
    if (which == TensorClass::kStatistics) {
      bytes += Quantised(lossless ? ValueKind::kFloat32 : ValueKind::kFloat16, tensor.count);
    }
  }
  return bytes;
}

// What the codecs do by themselves.
Plan DefaultPlan(const std::string& name) {
  if (name == "int8") return {.target = {.density = 1, .values = ValueKind::kInt8}};
  if (name == "chunk-topk") {
    return {.target = {.density = kTopDensity, .values = ValueKind::kInt2}};
  }
  if (name == "dgc") {
    return {.choice = Choice::kThreshold,
            .target = {.density = kThresholdDensity, .values = ValueKind::kInt4}};
  }
  if (name == "3lc") {
    return {.choice = Choice::kTernary, .target = {.density = 1, .values = ValueKind::kTernary}};
  }
  if (name == "powersgd") {
    return {.choice = Choice::kLowRank, .target = {.density = 1, .values = ValueKind::kFloat16}};
  }
  CHECK(name == "auto") << "no codec: " << name;
  return {};
}

}  // namespace

double PositionBits(double chosen, int64_t span) {
  const auto c = static_cast<double>(span);
  CHECK(chosen >= 0 && chosen <= c) << chosen << " of " << span;
  if (chosen == 0) return kShortHeader;
  if (chosen == c) return kLongHeader;
  const double q = (c - chosen) / (c + 1);
  double best = c + kLongHeader;  // a bitmap
  for (int p = 1; p <= kMostRice; ++p) {
    const double passes = std::pow(q, std::exp2(p));  // a jump of 2^p
    const double header = p >= kFirstShort && p <= kLastShort ? kShortHeader : kLongHeader;
    best = std::min(best, header + chosen * (p + 1) + (chosen * passes + q) / (1 - passes));
  }
  return best;
}

double UpdateBytes(const Target& target, int64_t values, std::span<const Tensor> tensors) {
  return BytesOf({.target = target}, values, tensors);
}

double UpdateBytes(const codec::CodecOptions& options, int64_t values) {
  const auto n = static_cast<double>(values);
  if (options.name == "dense") return codec::kHeaderBytes + sizeof(float) * n;
  if (options.name == "fp16") return codec::kHeaderBytes + sizeof(uint16_t) * n;
  Plan plan = DefaultPlan(options.name);
  if (options.density > 0) plan.target.density = options.density;
  if (const auto kind = codec::ParseValueKind(options.values); kind.ok()) {
    plan.target.values = *kind;
  }
  if (options.rank > 0) plan.rank = options.rank;
  plan.flush = options.flush;
  return BytesOf(plan, values, options.tensors);
}

}  // namespace weft::plan
