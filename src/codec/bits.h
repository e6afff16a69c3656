#pragma once
// Bits in bytes: fields of up to 57 bits one after another, each from its least significant bit up,
// into the least significant bit of a byte first.

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace weft::codec {

// What a 64-bit word holds of a field that may begin at any bit of its first byte.
inline constexpr size_t kMaxFieldBits = 57;

constexpr uint64_t LowBits(uint64_t value, size_t bits) {
  return value & ((uint64_t{1} << bits) - 1);
}

// Appends to a Bytes it does not own, a 64-bit word at a time: only after Align() does it hold all
// that was put.  Threads: one.
class BitWriter {
 public:
  explicit BitWriter(Bytes* out) : out_(out) {}

  // The low `bits` bits of value, whose others are 0. bits <= kMaxFieldBits.
  void Put(uint64_t value, size_t bits) {
    DCHECK(bits <= kMaxFieldBits && LowBits(value, bits) == value);
    word_ |= value << used_;
    used_ += bits;
    written_ += bits;
    if (used_ < 64) return;
    Append(8);
    used_ -= 64;
    word_ = value >> (bits - used_);  // bits > used_: the word before took at least one
  }
  // Zeros up to a whole byte; all bits put so far are in the bytes then.
  void Align() {
    if (used_ > 0) Append((used_ + 7) / 8);
    written_ += (8 - used_ % 8) % 8;
    word_ = 0;
    used_ = 0;
  }
  // Put so far, alignment included.
  size_t bits() const { return written_; }

 private:
  void Append(size_t bytes) {
    const size_t at = out_->size();
    out_->resize(at + bytes);
    std::memcpy(out_->data() + at, &word_, bytes);
  }

  Bytes* out_;
  uint64_t word_ = 0;
  size_t used_ = 0;  // bits of word_, < 64
  size_t written_ = 0;
};

// Reads from bytes it does not own. Whoever reads past the end gets zeros and failed(), which
// stays. Threads: one.
class BitReader {
 public:
  explicit BitReader(ByteView in) : in_(in), end_(in.size() * 8) {}

  // bits <= kMaxFieldBits.
  uint64_t Get(size_t bits) {
    const uint64_t value = LowBits(Peek(), bits);
    Skip(bits);
    return value;
  }
  // The next kMaxFieldBits bits, zeros after the end; consumes nothing.
  uint64_t Peek() const {
    const size_t byte = at_ / 8;
    uint64_t word = 0;
    if (byte + sizeof(word) <= in_.size()) {
      std::memcpy(&word, in_.data() + byte, sizeof(word));
    } else if (byte < in_.size()) {
      std::memcpy(&word, in_.data() + byte, in_.size() - byte);
    }
    return LowBits(word >> at_ % 8, kMaxFieldBits);
  }
  void Skip(size_t bits) {
    if (bits > end_ - at_) {
      failed_ = true;
      at_ = end_;
    } else {
      at_ += bits;
    }
  }
  // To the next whole byte; fails unless what it skips is zeros, as BitWriter leaves them.
  void Align() {
    if (Get((8 - at_ % 8) % 8) != 0) failed_ = true;
  }

  bool failed() const { return failed_; }
  size_t position() const { return at_; }  // in bits
  size_t remaining() const { return end_ - at_; }

 private:
  ByteView in_;
  size_t end_;     // in bits
  size_t at_ = 0;  // in bits, <= end_
  bool failed_ = false;
};

}  // namespace weft::codec
