#pragma once
// UpdateReader: the packets of UpdateCodec back to values, and what to do with those.

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/status.h"
#include "codec/codec.h"
#include "codec/pieces.h"

namespace weft::codec {

// Where values go. Threads: one.
struct ValueSink {
  enum class Mode { kCheck, kWrite, kAdd };
  Mode mode = Mode::kCheck;
  std::span<float> values;  // of the whole range; not touched by kCheck
  float weight = 1;         // of kAdd

  // The next values from `begin` on.
  void Put(size_t begin, std::span<const float> read) const;
  // One value each.
  void Put(std::span<const uint32_t> at, std::span<const float> read) const;
};

// Reads what stands behind the header and gives it to the sink, which sees only values that were
// sent. Errors: kDataLoss; the sink has then seen some. Never reads outside the body, and works in
// about 100 KB of stack whatever the body claims. Threads: any.
Status ReadUpdate(const PieceWalk& pieces, ByteView body, const ValueSink& sink);

}  // namespace weft::codec
