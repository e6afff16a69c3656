#pragma once
// Which coordinates of a chunk an update carries, in about the bits that their entropy asks for.
//
// The gap before a position, g = position - previous - 1, is geometric where each coordinate is
// chosen alike and alone. Its code (Golomb 1966, Run-length encodings, with the power of two of
// Rice and Plaunt 1971) is floor(g / 2^k) ones, a zero, and g mod 2^k in k bits. Read as a walk
// over the chunk: a one goes on by 2^k coordinates, a zero finds a position within the next 2^k and
// goes behind it. The walk ends where it reaches the end of the chunk, so that nothing says how
// many positions there are:
//
//   bits(k) = n (k + 1) + sum over gaps floor(g / 2^k) + ceil(tail / 2^k)
//
// with n positions and `tail` coordinates after the last. k = 0 is a bitmap, a zero a position.
//
//   header        3 bits: 0 none; 1 to 5: k = 5 to 9, and the walk follows; 6, 7: two bits more, of
//                 which the number (header - 6) + 2 * (two bits) is
//                 0 all; 1 to 7: k = 0, 1, 2, 3, 4, 10, 11, and the walk follows
//   walk          as above; the k bits of a position least significant first

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "codec/bits.h"

namespace weft::codec {

inline constexpr size_t kMaxSpan = 4096;

// Appends the shortest of all forms; of equals that with the smallest k, so a set has one encoding.
//   positions  [n] ascending, each below span
//   span       coordinates of the chunk, 1..kMaxSpan
//   out        at most MostPackedBits(span) bits more
// Threads: any, one per `out`.
void PackPositions(std::span<const uint16_t> positions, size_t span, BitWriter* out);

// The positions that PackPositions was given, in place of what `positions` held; at most span.
// Forms longer than need be are read too. Errors: kDataLoss if the input ends within them or one is
// not below span; `positions` and where `in` stands are unspecified then.  Threads: any, one per
// `in`.
Status UnpackPositions(size_t span, BitReader* in, std::vector<uint16_t>* positions);

// What the worst set takes: a bitmap and its header.
size_t MostPackedBits(size_t span);

}  // namespace weft::codec
