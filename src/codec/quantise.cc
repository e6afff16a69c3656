#include "codec/quantise.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "codec/half.h"

namespace weft::codec {
namespace {

constexpr std::array<std::string_view, kValueKinds> kNames = {"fp32", "fp16",    "int8", "int4",
                                                              "int2", "ternary", "sign"};
constexpr size_t kScaleBytes = sizeof(float);
constexpr int32_t kInfinityBits = 0x7F800000;
constexpr float kSmallestScale = std::numeric_limits<float>::min();
constexpr uint32_t kScaleMask = 0xFFFFFF80u;  // 17 significant bits: times 127 is still an f32
constexpr int kTritsAByte = 5;
constexpr int kTernaryCodes = 243;

// The codes of a chunk, with room to fill up the last byte.
using Codes = std::array<int8_t, kMaxChunkValues + 8>;

Status Wrong(ValueKind kind, const char* what, double got, const char* want) {
  return DataLoss(
      fmt::format("quantised {}, {}: got {}, want {}", ValueKindName(kind), what, got, want));
}

float Negligible(float scale) { return scale < kSmallestScale ? 0.0f : scale; }

// The bits of the largest magnitude. As integers, magnitudes have the same order, and the loop
// vectorises.
int32_t LargestBits(std::span<const float> values) {
  int32_t largest = 0;
  for (const float value : values) {
    largest = std::max(largest, std::bit_cast<int32_t>(value) & 0x7FFFFFFF);
  }
  return largest;
}

float LargestMagnitude(std::span<const float> values) {
  return std::bit_cast<float>(LargestBits(values));
}

enum class Side { kAbove, kUpTo };
constexpr float kBelowAll = -1.0f;

// Sum of the magnitudes on one side of `border`, in eight sums side by side: a fixed order that
// vectorises. In double, equal f32 have an exact sum and mean.
template <Side kSide>
double SumOfMagnitudes(std::span<const float> values, float border) {
  constexpr size_t kLanes = 8;
  const auto border_bits = std::bit_cast<int32_t>(border);
  std::array<double, kLanes> sums{};
  const auto add = [&](size_t lane, float value) {
    const int32_t bits = std::bit_cast<int32_t>(value) & 0x7FFFFFFF;
    const bool counts = kSide == Side::kAbove ? bits > border_bits : bits <= border_bits;
    const int32_t mask = -static_cast<int32_t>(counts);
    sums[lane] += static_cast<double>(std::bit_cast<float>(bits & mask));
  };
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) add(lane, values[i + lane]);
  }
  for (size_t i = whole; i < values.size(); ++i) add(i - whole, values[i]);
  for (size_t width = kLanes / 2; width > 0; width /= 2) {
    for (size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

int32_t CountAbove(std::span<const float> values, float threshold) {
  const auto border = std::bit_cast<int32_t>(threshold);
  int32_t count = 0;
  for (const float value : values) {
    count += (std::bit_cast<int32_t>(value) & 0x7FFFFFFF) > border ? 1 : 0;
  }
  return count;
}

// Codes side by side in bytes, the first in the lowest bits.
template <int kBits>
void PackBits(const Codes& codes, size_t bytes, uint8_t* out) {
  constexpr size_t kCodes = 8 / kBits;
  constexpr uint32_t kMask = (1u << kBits) - 1;
  for (size_t i = 0; i < bytes; ++i) {
    uint32_t byte = 0;
    for (size_t k = 0; k < kCodes; ++k) {
      byte |= (static_cast<uint32_t>(codes[i * kCodes + k]) & kMask) << (k * kBits);
    }
    out[i] = static_cast<uint8_t>(byte);
  }
}

template <int kBits>
void UnpackBits(ByteView in, Codes* codes) {
  constexpr size_t kCodes = 8 / kBits;
  constexpr uint32_t kMask = (1u << kBits) - 1;
  for (size_t i = 0; i < in.size(); ++i) {
    for (size_t k = 0; k < kCodes; ++k) {
      (*codes)[i * kCodes + k] = static_cast<int8_t>((in[i] >> (k * kBits)) & kMask);
    }
  }
}

void PackTrits(const Codes& codes, size_t bytes, uint8_t* out) {
  for (size_t i = 0; i < bytes; ++i) {
    int byte = 0;
    for (size_t k = 0; k < kTritsAByte; ++k) byte = 3 * byte + codes[i * kTritsAByte + k] + 1;
    out[i] = static_cast<uint8_t>(byte);
  }
}

constexpr auto kTrits = [] {
  std::array<std::array<int8_t, kTritsAByte>, 256> trits{};  // those from 243 on mean nothing
  for (int byte = 0; byte < kTernaryCodes; ++byte) {
    for (int k = kTritsAByte - 1, rest = byte; k >= 0; --k, rest /= 3) {
      trits[byte][k] = static_cast<int8_t>(rest % 3 - 1);
    }
  }
  return trits;
}();

// Returns the largest byte.
uint8_t UnpackTrits(ByteView in, Codes* codes) {
  uint8_t largest = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    largest = std::max(largest, in[i]);
    std::memcpy(codes->data() + i * kTritsAByte, kTrits[in[i]].data(), kTritsAByte);
  }
  return largest;
}

// A quotient that is at most 2^21: adding 1.5 * 2^23 rounds it in f32 to an integer in the low
// bits, to nearest even.
int8_t RoundToEven(float quotient) {
  const int32_t bits = std::bit_cast<int32_t>(quotient + 0x1.8p23f);
  return static_cast<int8_t>(bits - std::bit_cast<int32_t>(0x1.8p23f));
}

// Returns the scale. A division, not a product with 1 / s: it is rounded once, and no compiler
// fuses it with the addition behind it.
float RoundToCodes(std::span<const float> values, float largest_code, Codes* codes) {
  const float exact = LargestMagnitude(values) / largest_code;
  const float scale = Negligible(std::bit_cast<float>(std::bit_cast<uint32_t>(exact) & kScaleMask));
  const float divisor = scale == 0 ? std::numeric_limits<float>::max() : scale;
  for (size_t i = 0; i < values.size(); ++i) (*codes)[i] = RoundToEven(values[i] / divisor);
  return scale;
}

float TernaryCodes(std::span<const float> values, Codes* codes) {
  const float scale = Negligible(LargestMagnitude(values));
  const float half = scale == 0 ? std::numeric_limits<float>::max() : 0.5f * scale;
  for (size_t i = 0; i < values.size(); ++i) {
    (*codes)[i] = static_cast<int8_t>((values[i] > half) - (values[i] < -half));
  }
  return scale;
}

float SignCodes(std::span<const float> values, Codes* codes) {
  for (size_t i = 0; i < values.size(); ++i) {
    (*codes)[i] = static_cast<int8_t>(std::bit_cast<uint32_t>(values[i]) >> 31);
  }
  const double sum = SumOfMagnitudes<Side::kAbove>(values, kBelowAll);
  return Negligible(static_cast<float>(sum / static_cast<double>(values.size())));
}

// A magnitude as the upper 16 bits of an f32, rounded to nearest even, at most the largest finite.
uint16_t UpperHalf(double magnitude) {
  const uint32_t bits = std::bit_cast<uint32_t>(Negligible(static_cast<float>(magnitude)));
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16;
  return static_cast<uint16_t>(bits < kInfinityBits ? std::min(rounded, 0x7F7Fu) : bits >> 16);
}

float FromUpperHalf(uint16_t half) { return std::bit_cast<float>(uint32_t{half} << 16); }

struct Magnitudes {
  double low = 0;
  double high = 0;
};

// Lloyd's algorithm for two levels, from the mean on: each level becomes the mean of the magnitudes
// that are nearest to it. The threshold stays below the largest, so that two different magnitudes
// are told apart.
Magnitudes FitMagnitudes(std::span<const float> values) {
  constexpr int kRounds = 5;
  const float largest = LargestMagnitude(values);
  if (largest == 0) return {};
  const float below_largest = std::bit_cast<float>(std::bit_cast<int32_t>(largest) - 1);
  const double sum = SumOfMagnitudes<Side::kAbove>(values, kBelowAll);
  const auto n = static_cast<double>(values.size());
  double middle = sum / n;
  double below = 0;
  float threshold = 0;
  Magnitudes means;
  for (int round = 0; round < kRounds; ++round) {
    threshold = std::min(static_cast<float>(middle), below_largest);
    const double sum_above = SumOfMagnitudes<Side::kAbove>(values, threshold);
    const int32_t above = CountAbove(values, threshold);  // at least the largest
    below = n - above;
    means.high = sum_above / above;
    if (below == 0) return {means.high, means.high};
    means.low = (sum - sum_above) / below;
    middle = 0.5 * (means.low + means.high);
    if (static_cast<float>(middle) == threshold) break;
  }
  // The difference of the sums is too coarse where low is far smaller than high.
  means.low = SumOfMagnitudes<Side::kUpTo>(values, threshold) / below;
  return means;
}

// Writes lo and hi, and sets the codes by which of the two, as written, is nearer.
void TwoMagnitudeCodes(std::span<const float> values, Codes* codes, uint8_t* out) {
  const Magnitudes means = FitMagnitudes(values);
  const std::array<uint16_t, 2> halves = {UpperHalf(means.low), UpperHalf(means.high)};
  std::memcpy(out, halves.data(), sizeof(halves));
  const float middle = 0.5f * FromUpperHalf(halves[0]) + 0.5f * FromUpperHalf(halves[1]);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t sign = std::bit_cast<uint32_t>(values[i]) >> 31;
    const uint32_t high = std::fabs(values[i]) > middle ? 1 : 0;
    (*codes)[i] = static_cast<int8_t>(2 * sign + high);
  }
}

bool Any(const Codes& codes, size_t n, int8_t code) {
  int8_t any = 0;
  for (size_t i = 0; i < n; ++i) any |= static_cast<int8_t>(codes[i] == code);
  return any != 0;
}

Status CheckScale(ValueKind kind, float scale) {
  const uint32_t bits = std::bit_cast<uint32_t>(scale);
  if (bits == 0) return OkStatus();
  if (!(scale >= kSmallestScale) || !std::isfinite(scale)) {
    return Wrong(kind, "scale", scale, "0 or a positive normal number");
  }
  if (kind != ValueKind::kInt8 && kind != ValueKind::kInt4) return OkStatus();
  if ((bits & ~kScaleMask) != 0) return Wrong(kind, "scale", scale, "17 significant bits");
  const float largest = kind == ValueKind::kInt8 ? 127.0f : 7.0f;
  if (!std::isfinite(scale * largest)) return Wrong(kind, "scale", scale, "finite values");
  return OkStatus();
}

Status CheckFilling(ValueKind kind, const Codes& codes, size_t n, size_t filled) {
  for (size_t i = n; i < filled; ++i) {
    if (codes[i] != 0) return Wrong(kind, "code that fills up", codes[i], "0");
  }
  return OkStatus();
}

// Bytes behind the scale to codes in -127..127.
Status UnpackCodes(ValueKind kind, ByteView in, size_t n, Codes* codes) {
  size_t filled = n;
  if (kind == ValueKind::kInt8) {
    std::memcpy(codes->data(), in.data(), n);
    if (Any(*codes, n, -128)) return Wrong(kind, "code", -128, "-127..127");
  } else if (kind == ValueKind::kInt4) {
    filled = in.size() * 2;
    UnpackBits<4>(in, codes);
    for (size_t i = 0; i < filled; ++i) (*codes)[i] = static_cast<int8_t>(((*codes)[i] ^ 8) - 8);
    if (Any(*codes, n, -8)) return Wrong(kind, "code", -8, "-7..7");
  } else if (kind == ValueKind::kTernary) {
    filled = in.size() * kTritsAByte;
    const uint8_t largest = UnpackTrits(in, codes);
    if (largest >= kTernaryCodes) return Wrong(kind, "byte", largest, "at most 242");
  } else {
    filled = in.size() * 8;
    UnpackBits<1>(in, codes);
  }
  RETURN_IF_ERROR(CheckFilling(kind, *codes, n, filled));
  if (kind != ValueKind::kSign) return OkStatus();
  for (size_t i = 0; i < n; ++i) (*codes)[i] = static_cast<int8_t>(1 - 2 * (*codes)[i]);
  return OkStatus();
}

Status DequantiseScaled(ValueKind kind, ByteView bytes, std::span<float> values) {
  float scale = 0;
  std::memcpy(&scale, bytes.data(), sizeof(scale));
  RETURN_IF_ERROR(CheckScale(kind, scale));
  Codes codes;
  RETURN_IF_ERROR(UnpackCodes(kind, bytes.subspan(kScaleBytes), values.size(), &codes));
  for (size_t i = 0; i < values.size(); ++i) values[i] = scale * static_cast<float>(codes[i]);
  return OkStatus();
}

Status DequantiseTwoMagnitudes(ByteView bytes, std::span<float> values) {
  std::array<uint16_t, 2> halves;
  std::memcpy(halves.data(), bytes.data(), sizeof(halves));
  const float low = FromUpperHalf(halves[0]);
  const float high = FromUpperHalf(halves[1]);
  RETURN_IF_ERROR(CheckScale(ValueKind::kInt2, low));
  RETURN_IF_ERROR(CheckScale(ValueKind::kInt2, high));
  if (low > high) return Wrong(ValueKind::kInt2, "lower magnitude", low, "at most the higher");
  Codes codes;
  const ByteView packed = bytes.subspan(kScaleBytes);
  UnpackBits<2>(packed, &codes);
  RETURN_IF_ERROR(CheckFilling(ValueKind::kInt2, codes, values.size(), packed.size() * 4));
  const std::array<float, 4> levels = {low, high, -low, -high};
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = levels[static_cast<size_t>(codes[i])];
  }
  return OkStatus();
}

Status CheckFinite(ValueKind kind, std::span<const float> values) {
  const float largest = LargestMagnitude(values);
  return std::isfinite(largest) ? OkStatus() : Wrong(kind, "value", largest, "finite");
}

size_t Ceiling(size_t n, size_t codes_a_byte) { return (n + codes_a_byte - 1) / codes_a_byte; }

}  // namespace

std::string_view ValueKindName(ValueKind kind) { return kNames[static_cast<size_t>(kind)]; }

Result<ValueKind> ParseValueKind(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found != kNames.end()) return static_cast<ValueKind>(found - kNames.begin());
  const std::vector<std::string> names(kNames.begin(), kNames.end());
  const auto near = base::DidYouMean(name, names);
  return InvalidArgument(fmt::format("kind of values: got \"{}\", want {}{}", name,
                                     base::JoinChoices(names),
                                     near ? "; did you mean \"" + *near + "\"?" : ""));
}

size_t QuantisedBytes(ValueKind kind, size_t n) {
  CHECK_LE(n, kMaxChunkValues);
  if (n == 0) return 0;
  switch (kind) {
    case ValueKind::kFloat32:
      return n * sizeof(float);
    case ValueKind::kFloat16:
      return n * sizeof(uint16_t);
    case ValueKind::kInt8:
      return kScaleBytes + n;
    case ValueKind::kInt4:
      return kScaleBytes + Ceiling(n, 2);
    case ValueKind::kInt2:
      return kScaleBytes + Ceiling(n, 4);
    case ValueKind::kTernary:
      return kScaleBytes + Ceiling(n, kTritsAByte);
    case ValueKind::kSign:
      return kScaleBytes + Ceiling(n, 8);
  }
  CHECK(false) << "no kind of values: " << static_cast<int>(kind);
  return 0;
}

void Quantise(ValueKind kind, std::span<const float> values, uint8_t* out) {
  const size_t n = values.size();
  const size_t bytes = QuantisedBytes(kind, n);
  if (n == 0) return;
  DCHECK(LargestBits(values) < kInfinityBits) << "a value is not finite";
  if (kind == ValueKind::kFloat32) {
    std::memcpy(out, values.data(), bytes);
    return;
  }
  if (kind == ValueKind::kFloat16) return HalvesFromFloats(values, {}, out);
  Codes codes;
  std::fill_n(codes.begin() + static_cast<std::ptrdiff_t>(n), 8, int8_t{0});
  uint8_t* packed = out + kScaleBytes;
  const size_t packed_bytes = bytes - kScaleBytes;
  if (kind == ValueKind::kInt2) {
    TwoMagnitudeCodes(values, &codes, out);
    return PackBits<2>(codes, packed_bytes, packed);
  }
  float scale = 0;
  if (kind == ValueKind::kInt8) {
    scale = RoundToCodes(values, 127, &codes);
    std::memcpy(packed, codes.data(), n);
  } else if (kind == ValueKind::kInt4) {
    scale = RoundToCodes(values, 7, &codes);
    PackBits<4>(codes, packed_bytes, packed);
  } else if (kind == ValueKind::kTernary) {
    scale = TernaryCodes(values, &codes);
    PackTrits(codes, packed_bytes, packed);
  } else {
    scale = SignCodes(values, &codes);
    PackBits<1>(codes, packed_bytes, packed);
  }
  std::memcpy(out, &scale, sizeof(scale));
}

Status Dequantise(ValueKind kind, ByteView bytes, std::span<float> values) {
  const size_t want = QuantisedBytes(kind, values.size());
  if (bytes.size() != want) {
    return DataLoss(fmt::format("quantised {}, bytes: got {}, want {}", ValueKindName(kind),
                                bytes.size(), want));
  }
  if (values.empty()) return OkStatus();
  if (kind == ValueKind::kInt2) return DequantiseTwoMagnitudes(bytes, values);
  if (kind != ValueKind::kFloat32 && kind != ValueKind::kFloat16) {
    return DequantiseScaled(kind, bytes, values);
  }
  if (kind == ValueKind::kFloat32) std::memcpy(values.data(), bytes.data(), bytes.size());
  if (kind == ValueKind::kFloat16) FloatsFromHalves(bytes.data(), values);
  return CheckFinite(kind, values);
}

}  // namespace weft::codec
