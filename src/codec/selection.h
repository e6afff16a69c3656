#pragma once
// Selection: the values that were selected of several chunks, gathered until there are enough for a
// scale of their own. The bytes of one group:
//
//   positions  of each chunk, as positions.h writes them, one behind the other, then zeros up to a
//              whole byte
//   values     of all its chunks in order, quantised in runs of kMaxChunkValues (quantise.h)
//
// A group ends with the first chunk at which it holds kGroupValues, or where its owner ends it.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "codec/bits.h"
#include "codec/codec.h"
#include "codec/positions.h"
#include "codec/quantise.h"

namespace weft::codec {

// A scale of four bytes is about a twentieth of what 64 values take with their positions.
inline constexpr size_t kGroupValues = 64;
inline constexpr size_t kMostGroupValues = kGroupValues - 1 + kMaxSpan;

// Where the values of a group stand in the range, and what they are.
struct Group {
  std::array<uint32_t, kMostGroupValues> at;
  std::array<float, kMostGroupValues> values;
  std::array<float, kMaxChunkValues> sent;  // scratch
  size_t size = 0;
  bool open = false;  // a chunk was added since the last group ended

  void Add(std::span<const uint16_t> positions, size_t begin);
  bool full() const { return size >= kGroupValues; }
};

// Threads: one.
class SelectionWriter {
 public:
  // Owns none of them; what is in `group` is overwritten.
  SelectionWriter(ValueKind kind, const Carry& carry, Group* group, Bytes* out);

  //   chunk  [span] f32  read; with a residual: that residual, which already holds the sums
  //   begin  of the chunk within the range
  void Add(std::span<const uint16_t> positions, std::span<const float> chunk, size_t begin);
  // Ends a group, if there is one: writes its values, subtracts from the residual what is sent, and
  // masks the velocity. To be called before anything else is appended to the bytes, and at the end.
  void End();

 private:
  ValueKind kind_;
  Carry carry_;
  Group* group_;
  Bytes* out_;
  BitWriter bits_;
};

// Appends a chunk with all its values and subtracts from the residual what is sent.
//   chunk     [n] f32  read, n <= kMaxChunkValues
//   residual  [n] f32  empty or the chunk itself
//   sent      [n] f32  scratch
void WriteWhole(ValueKind kind, std::span<const float> chunk, std::span<float> residual,
                std::span<float> sent, Bytes* out);

}  // namespace weft::codec
