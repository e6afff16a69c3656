#pragma once
// The frame of an update: what stands before the values of UpdateCodec. docs/formats/update.md
// draws it byte by byte.

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/status.h"
#include "codec/codec.h"

namespace weft::codec {

// How the tensors of one class are written.
enum class Layout : uint8_t {
  kWhole = 0,    // all values, chunk by chunk
  kSparse = 1,   // positions and their values
  kTernary = 2,  // all values as -s, 0, s; where that is shorter, positions and signs
  kLowRank = 3,  // the two factors of each matrix
};

struct Form {
  Layout layout = Layout::kWhole;
  ValueKind kind = ValueKind::kFloat32;
  bool joined = false;  // sparse: values of several tensors share a scale
  // Every turns-th chunk is written whole as int8, from chunk `turn` on. 0: none is.
  uint64_t turns = 0;
  uint64_t turn = 0;
  bool operator==(const Form&) const = default;

  bool HasTurn(uint64_t chunk) const { return turns > 0 && chunk % turns == turn; }
};

// What both ends know and the frame repeats, so that a stray packet is refused.
struct UpdateHeader {
  uint64_t count = 0;
  int64_t begin = 0;
  int64_t base = 0;
  uint32_t identity = 0;  // of the run and its tensors
  bool operator==(const UpdateHeader&) const = default;
};

// 7 bits a byte, the lowest first, the top bit set in all but the last: at most ten bytes.
void PutVarint(uint64_t value, Bytes* out);
// Errors: kDataLoss if it is truncated, longer than need be or above 64 bits.
Status GetVarint(base::ByteReader* in, uint64_t* value);

// Appends the prefix of the frame and the header.
void PutHeader(const UpdateHeader& header, Bytes* packet);
// Reads the header behind the prefix. Errors: kDataLoss unless it is `want`.
Status CheckHeader(const UpdateHeader& want, base::ByteReader* in);

void PutForm(const Form& form, Bytes* packet);
// Errors: kDataLoss for a form that PutForm never writes.
Status GetForm(base::ByteReader* in, Form* form);

// Upper bound of all of the above in one packet.
inline constexpr size_t kMostHeaderBytes = 128;

}  // namespace weft::codec
