#pragma once
// For the tests of this room: a codec that leaves out most values, so plain that its errors can be
// worked out by hand.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "codec/codec.h"

namespace weft::cluster::testing {

// The `most` values of largest size, each cut to its upper 16 bits; an i64 before them has the
// place's base.
class FewLargest : public codec::Codec {
 public:
  explicit FewLargest(size_t most) : most_(most) {}
  std::string name() const override { return "few-largest"; }
  bool lossy() const override { return true; }
  size_t MaxBytes(size_t n) const override { return 8 + 6 * std::min(n, most_); }

  Status Encode(const codec::Place& place, std::span<const float> values, const codec::Carry&,
                Bytes* packet) override {
    for (const float value : values) {
      if (!std::isfinite(value)) return base::InvalidArgument("not finite");
    }
    std::vector<uint32_t> order(values.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::stable_sort(order, std::greater(),
                             [&](uint32_t i) { return std::abs(values[i]); });
    order.resize(std::min(order.size(), most_));
    base::ByteWriter out(packet);
    out.Put(place.base);
    for (const uint32_t i : order) {
      uint32_t bits = 0;
      std::memcpy(&bits, &values[i], sizeof(bits));
      out.Put(i);
      out.Put(static_cast<uint16_t>(bits >> 16));
    }
    return OkStatus();
  }

  Status Decode(const codec::Place& place, ByteView packet,
                std::span<float> values) const override {
    base::ByteReader in(packet);
    int64_t base = 0;
    RETURN_IF_ERROR(in.Get(&base));
    if (base != place.base) return base::DataLoss("another base");
    std::ranges::fill(values, 0.0f);
    while (in.remaining() > 0) {
      uint32_t i = 0;
      uint16_t bits = 0;
      RETURN_IF_ERROR(in.Get(&i));
      RETURN_IF_ERROR(in.Get(&bits));
      if (i >= values.size()) return base::DataLoss("no such value");
      const uint32_t whole = uint32_t{bits} << 16;
      std::memcpy(&values[i], &whole, sizeof(whole));
    }
    return OkStatus();
  }

 private:
  const size_t most_;
};

}  // namespace weft::cluster::testing
