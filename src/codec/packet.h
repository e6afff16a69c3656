#pragma once
// The frame around every codec's packet; all numbers little-endian:
//
//   0  u8   0xC7         magic
//   1  u8   codec        which codec wrote the body
//   2  u8   1            version of the frame
//   3  u8   0            reserved
//   4  u32  checksum     CRC32C of bytes 0..3 and of everything from byte 8 on
//   8  u64  count        values in the packet
//  16  ...  body         as the codec says

#include <cstdint>

#include "base/bytes.h"
#include "base/status.h"

namespace weft::codec {

inline constexpr size_t kHeaderBytes = 16;
// Of them, up to the checksum; what follows is the codec's own where the count has another form.
inline constexpr size_t kPrefixBytes = 8;

// On the wire for ever: never reuse a number.
enum class CodecId : uint8_t { kDense = 1, kFp16 = 2, kUpdate = 3 };

// Grows `packet` by the prefix of a frame; what is appended then belongs to it. Call SealPacket
// once all is written.
void BeginFrame(CodecId id, Bytes* packet);

// What follows the prefix. Errors: kDataLoss unless it is an intact frame of this codec.
Result<ByteView> OpenFrame(CodecId id, ByteView packet);

// Grows `packet` by a frame with room for `body_bytes`; the returned pointer is where the body goes
// and is valid until `packet` grows again. Call SealPacket once the body is written.
uint8_t* BeginPacket(CodecId id, uint64_t count, size_t body_bytes, Bytes* packet);

// Writes the checksum of the frame that starts at byte `begin` of `packet` and runs to its end.
void SealPacket(size_t begin, Bytes* packet);

// The body of a whole packet. Errors: kDataLoss unless it is an intact frame of this codec with
// this count.
Result<ByteView> OpenPacket(CodecId id, uint64_t count, ByteView packet);

// For codecs whose packets have one size. Errors: kDataLoss.
Status CheckPacketBytes(size_t got, size_t want);

// Errors: kInvalidArgument if the residual is neither empty nor as long as the values.
Status CheckResidual(size_t values, size_t residual);

}  // namespace weft::codec
