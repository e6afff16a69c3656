#include "codec/update_frame.h"

#include <fmt/format.h>

#include "codec/packet.h"

namespace weft::codec {
namespace {

// Of the byte of a form.
constexpr int kLayoutShift = 3;
constexpr uint8_t kJoinedBit = 0x20;
constexpr uint8_t kTurnsBit = 0x40;
constexpr uint8_t kReservedBit = 0x80;

template <class T>
Status Check(const char* what, T got, T want) {
  if (got == want) return OkStatus();
  return DataLoss(fmt::format("update, {}: got {}, want {}", what, got, want));
}

// Small numbers of either sign to small ones without.
uint64_t Zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ (value < 0 ? ~uint64_t{0} : 0);
}

bool IsWritten(const Form& form) {
  if (static_cast<size_t>(form.kind) >= kValueKinds) return false;
  if (form.layout == Layout::kTernary && form.kind != ValueKind::kTernary) return false;
  if (form.layout == Layout::kLowRank && form.kind != ValueKind::kFloat16) return false;
  if (form.joined && form.layout != Layout::kSparse) return false;
  return true;
}

Status GetTurns(base::ByteReader* in, Form* form) {
  RETURN_IF_ERROR(GetVarint(in, &form->turns));
  RETURN_IF_ERROR(GetVarint(in, &form->turn));
  const bool takes_turns = form->layout == Layout::kSparse || form->layout == Layout::kTernary;
  if (takes_turns && form->turn < form->turns) return OkStatus();
  return DataLoss(fmt::format("update, turn: got {} of {}", form->turn, form->turns));
}

}  // namespace

void PutVarint(uint64_t value, Bytes* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<uint8_t>(value | 0x80));
  out->push_back(static_cast<uint8_t>(value));
}

Status GetVarint(base::ByteReader* in, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    uint8_t byte = 0;
    RETURN_IF_ERROR(in->Get(&byte));
    const uint64_t bits = byte & 0x7F;
    if (shift == 63 && bits > 1) break;
    *value |= bits << shift;
    if (byte >= 0x80) continue;
    if (byte == 0 && shift > 0) break;
    return OkStatus();
  }
  return DataLoss("update: a number is longer than need be");
}

void PutHeader(const UpdateHeader& header, Bytes* packet) {
  BeginFrame(CodecId::kUpdate, packet);
  base::ByteWriter(packet).Put(header.identity);
  PutVarint(header.count, packet);
  PutVarint(Zigzag(header.begin), packet);
  PutVarint(Zigzag(header.base), packet);
}

Status CheckHeader(const UpdateHeader& want, base::ByteReader* in) {
  uint32_t identity = 0;
  uint64_t count = 0;
  uint64_t begin = 0;
  uint64_t base = 0;
  RETURN_IF_ERROR(in->Get(&identity));
  RETURN_IF_ERROR(GetVarint(in, &count));
  RETURN_IF_ERROR(GetVarint(in, &begin));
  RETURN_IF_ERROR(GetVarint(in, &base));
  RETURN_IF_ERROR(Check("identity", identity, want.identity));
  RETURN_IF_ERROR(Check("values", count, want.count));
  RETURN_IF_ERROR(Check("begin", begin, Zigzag(want.begin)));
  return Check("base version", base, Zigzag(want.base));
}

void PutForm(const Form& form, Bytes* packet) {
  CHECK(IsWritten(form));
  uint8_t byte = static_cast<uint8_t>(form.kind);
  byte |= static_cast<uint8_t>(static_cast<int>(form.layout) << kLayoutShift);
  if (form.joined) byte |= kJoinedBit;
  if (form.turns > 0) byte |= kTurnsBit;
  packet->push_back(byte);
  if (form.turns == 0) return;
  PutVarint(form.turns, packet);
  PutVarint(form.turn, packet);
}

Status GetForm(base::ByteReader* in, Form* form) {
  uint8_t byte = 0;
  RETURN_IF_ERROR(in->Get(&byte));
  *form = {.layout = static_cast<Layout>((byte >> kLayoutShift) & 3),
           .kind = static_cast<ValueKind>(byte & 7),
           .joined = (byte & kJoinedBit) != 0};
  if ((byte & kReservedBit) != 0 || !IsWritten(*form)) {
    return DataLoss(fmt::format("update, form: got {:#04x}", byte));
  }
  return (byte & kTurnsBit) == 0 ? OkStatus() : GetTurns(in, form);
}

}  // namespace weft::codec
