#pragma once
// Ternary chunks: each value becomes -s, 0 or s. The bytes of a chunk:
//
//   positions  of what is not 0 (positions.h), then zeros up to a whole byte
//   values     of those positions as signs; if they are all positions, as codes of ternary
//   (quantise.h)
//
// The writer takes the shorter; codes of ternary are it where few values become 0.
// Source: Lim, Andersen, Kaminsky 2019, 3LC, section 3.1. s = m max|v| with the sparsity multiplier
// m; v becomes +-s where |v| > s/2. In place of its run lengths of zero codes (section 3.3) stand
// the positions.

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace weft::codec {

// The paper measures 1 to 1.9; more sends fewer values, each larger.
inline constexpr float kSparsityMultiplier = 1.75f;

//   chunk      [n] f32  read, finite, n <= kMaxSpan
//   residual   [n] f32  empty or the chunk itself: what is sent is subtracted
//   sent       [n] f32  scratch
//   positions           scratch
// Threads: any on disjoint memory.
void WriteTernary(std::span<const float> chunk, std::span<float> residual, std::span<float> sent,
                  std::vector<uint16_t>* positions, Bytes* out);

// Reads the chunk that `in` begins with; `used` becomes its bytes.
//   values     [n] f32  written
//   positions           scratch
// Errors: kDataLoss; `values` is then unspecified.  Threads: any on disjoint memory.
Status ReadTernary(ByteView in, std::span<float> values, std::vector<uint16_t>* positions,
                   size_t* used);

}  // namespace weft::codec
