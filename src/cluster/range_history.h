#pragma once
// RangeHistory: what the leader of a range may still be asked beside its numbers, while a step or a
// stream is under way. A standby that is seated then has to be able to answer as its leader would.
// It follows the numbers in RangeState.values, all numbers little-endian:
//
//   0  u32  checksum    CRC32C of everything from byte 4 on
//   4  u32  records
//   8  u64  before      bytes of that packet, 0: none; then the packet
//      then of each record: i64 step, i64 version, f64 loss_sum, i64 correct, i64 samples,
//      f64 gradient_norm, u32 leases, and of each lease: u64 id, i64 step, i64 epoch, i64 slot,
//      i64 begin, i64 count, u32 device

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "cluster/message.h"

namespace weft::cluster {

struct RangeHistory {
  // Told the coordinator last, oldest first, each with as many devices as leases; it may not have
  // heard of them. Their term and range are those of the state.
  std::vector<Committed> records;
  Payload before;  // parameters of the version before, as workers get them; null: none
};

// Appends to `out`.
void EncodeRangeHistory(const RangeHistory& history, Bytes* out);
// Reads all of `in`. Errors: kDataLoss for bytes that are damaged or make no history. Never
// allocates more than a small multiple of what it reads.
Result<RangeHistory> DecodeRangeHistory(ByteView in);

}  // namespace weft::cluster
