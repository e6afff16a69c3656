#pragma once
// Bytes and bounds-checked little-endian reading and writing: the ground every codec, parser and
// file format stands on.

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/status.h"

namespace weft::base {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files and packets are little-endian");

// Appends to a Bytes it does not own.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes* out) : out_(out) {}

  template <class T>
  requires std::is_arithmetic_v<T>
  void Put(T value) { PutRaw({reinterpret_cast<const uint8_t*>(&value), sizeof(T)}); }
  void PutRaw(ByteView bytes) {
    // Not vector::insert: gcc 12 sees writes past the end in it that are not there.
    const size_t at = out_->size();
    out_->resize(at + bytes.size());
    if (!bytes.empty()) std::memcpy(out_->data() + at, bytes.data(), bytes.size());
  }
  // u32 length, then the bytes.
  void PutString(std::string_view text) {
    Put(static_cast<uint32_t>(text.size()));
    PutRaw(AsBytes(text));
  }

 private:
  Bytes* out_;
};

// Reads from bytes it does not own. A read past the end, or a bool that is neither 0 nor 1, returns
// kDataLoss and consumes nothing.
class ByteReader {
 public:
  explicit ByteReader(ByteView in) : in_(in) {}

  size_t remaining() const { return in_.size() - at_; }
  size_t position() const { return at_; }

  template <class T>
  requires std::is_arithmetic_v<T> Status Get(T* value) {
    RETURN_IF_ERROR(Need(sizeof(T)));
    if constexpr (std::is_same_v<T, bool>) {
      if (in_[at_] > 1) {
        return DataLoss("byte " + std::to_string(at_) + ": got " + std::to_string(in_[at_]) +
                        ", want 0 or 1");
      }
    }
    std::memcpy(value, in_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return OkStatus();
  }
  // A view into the input, valid as long as the input is.
  Status GetRaw(size_t size, ByteView* bytes) {
    RETURN_IF_ERROR(Need(size));
    *bytes = in_.subspan(at_, size);
    at_ += size;
    return OkStatus();
  }
  Status GetString(std::string* text) {
    uint32_t size = 0;
    RETURN_IF_ERROR(Get(&size));
    ByteView bytes;
    if (Status status = GetRaw(size, &bytes); !status.ok()) {
      at_ -= sizeof(size);
      return status;
    }
    *text = AsText(bytes);
    return OkStatus();
  }

 private:
  Status Need(size_t size) const {
    if (remaining() >= size) return OkStatus();
    return DataLoss("truncated at byte " + std::to_string(at_) + ": got " +
                    std::to_string(remaining()) + " more bytes, want " + std::to_string(size));
  }

  ByteView in_;
  size_t at_ = 0;
};

}  // namespace weft::base

namespace weft {
using base::Bytes;
using base::ByteView;
}  // namespace weft
