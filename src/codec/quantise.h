#pragma once
// Quantise: the values of one chunk (at most 4,096, as a rule those a selector picked) to a few
// bits each and back. A step of the sparse update between select and pack: it knows neither indices
// nor frames, and keeps no residual. Callers have the error from Dequantise and carry it forward.
//
// The bytes for n values v, little-endian, no padding between parts:
//
//   fp32     n f32                                   q = v
//   fp16     n binary16, beyond +-65504 clamped      q = half(v)
//   int8     scale s, n codes c of 8 bits, -127..127 q = s c,  s = max|v| / 127,  c = round(v/s)
//   int4     scale s, n codes c of 4 bits, -7..7     q = s c,  s = max|v| / 7,    c = round(v/s)
//   int2     lo, hi,  n codes of 2 bits, 2 sign+high q = +-lo or +-hi, the nearer
//   ternary  scale s, 5 codes c in a byte, -1..1     q = s c,  s = max|v|,        c = round(v/s)
//   sign     scale s, n bits, 1 for negative         q = +-s,  s = mean|v|
//
// - A scale is an f32. Those of int8 and int4 are cut to 17 significant bits, so that s c needs no
//   rounding, and lo and hi to the upper 16 bits of an f32 (bfloat16), lo first: 4 bytes for both.
//   A scale below the smallest normal f32 (2^-126) is stored as 0, and all its values are 0.
// - Codes fill a byte from its lowest bits, in two's complement. A ternary byte is
//   81 (c0+1) + 27 (c1+1) + 9 (c2+1) + 3 (c3+1) + (c4+1), at most 242. Codes that fill up the last
//   byte are 0. Rounding is to nearest, a tie to even.
// - q depends on the bytes alone: it is an exact product of an f32 and a small integer, the same on
//   every machine. What Dequantise makes of Quantise's bytes goes through both again unchanged.
// - |v - q| is at most s/2 for int8, int4 and ternary (of int8 and int4 up to the rounding of v/s).
//
// int2 spends no code on 0: selected values lie above a threshold, |v| in [t, max], so of evenly
// spaced levels (+-s/2, +-3s/2) the lower pair would lie in the empty gap, or the upper one beyond
// most values. lo and hi are instead Lloyd's two levels of |v| (1982), which make the squared error
// least; at most five rounds from the mean on, which on a normal's tail end 2 % above the least.
// Sources: Lim, Andersen, Kaminsky 2019, 3LC, sections 3.1 (ternary, sparsity multiplier 1) and 3.2
// (five codes a byte); Seide et al. 2014, 1-Bit SGD (sign; there a mean for each sign, here one).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"

namespace weft::codec {

inline constexpr size_t kMaxChunkValues = 4096;

enum class ValueKind : uint8_t {
  kFloat32 = 0,
  kFloat16 = 1,
  kInt8 = 2,
  kInt4 = 3,
  kInt2 = 4,
  kTernary = 5,
  kSign = 6,
};
inline constexpr size_t kValueKinds = 7;

// "fp32", "fp16", "int8", "int4", "int2", "ternary", "sign".
std::string_view ValueKindName(ValueKind kind);
// Errors: kInvalidArgument for an unknown name, with a did-you-mean.
Result<ValueKind> ParseValueKind(std::string_view name);

// Bytes of n values of one chunk, its scale included; 0 for n = 0. n <= kMaxChunkValues.
size_t QuantisedBytes(ValueKind kind, size_t n);

//   values  [n] f32  read, finite, n <= kMaxChunkValues
//   out     QuantisedBytes(kind, n) bytes, any alignment, written
// A value that is not finite is a mistake of the caller: it stops a debug build; else the bytes are
// such as Dequantise refuses.
// Threads: any on disjoint memory.
void Quantise(ValueKind kind, std::span<const float> values, uint8_t* out);

//   values  [n] f32  written, n <= kMaxChunkValues
// Errors: kDataLoss if `bytes` are not QuantisedBytes(kind, n), or hold what Quantise never writes:
// a value or scale that is not finite, a scale that is negative, subnormal or has more bits than
// above, lo > hi, -128 in int8, -8 in int4, a ternary byte above 242, a last byte filled up with
// another code than 0. `values` is then unspecified. Never reads outside `bytes`.
// Threads: any on disjoint memory.
Status Dequantise(ValueKind kind, ByteView bytes, std::span<float> values);

}  // namespace weft::codec
