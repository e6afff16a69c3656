#pragma once
// What may stand on the wire at most. Both ends check: the sender so that it hears of it, the
// receiver because the sender may be anyone.

#include <cstddef>
#include <cstdint>

namespace weft::net {

inline constexpr size_t kMaxNameBytes = 4 << 10;        // names, tokens, versions, run ids
inline constexpr size_t kMaxReasonBytes = 64 << 10;     // sentences for people, paths
inline constexpr size_t kMaxDocumentBytes = 256 << 10;  // a job, a model file
inline constexpr size_t kMaxLeases = 8192;              // in one message: one a slot of a step
inline constexpr size_t kMaxParts = 1024;               // of a layout
inline constexpr size_t kMaxEndpointBytes = 256;        // HOST:PORT
inline constexpr size_t kMaxHeadBytes = 640 << 10;      // a message without its payload, encoded
inline constexpr size_t kMaxChunkBytes = 512 << 10;     // payload bytes in one frame
inline constexpr size_t kMaxFrameBytes = (1 << 20) + (256 << 10);  // a frame, encoded

static_assert(kMaxHeadBytes + kMaxChunkBytes < kMaxFrameBytes);
static_assert(2 * kMaxDocumentBytes + 4 * kMaxNameBytes < kMaxHeadBytes);
static_assert(kMaxLeases * 68 < kMaxHeadBytes);  // 6 fields of at most 11 bytes, tag, length

}  // namespace weft::net
