#pragma once
// Codec: a piece of the parameter vector to bytes and back. One file a codec; MakeCodec is the
// list. The seam has three parts as in hivemind's compression: Encode, Decode, and an estimate of
// the size (MaxBytes).

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace weft::codec {

// Stateless; threads: any. State that an encoder needs (the residual) belongs to the caller, one
// per sender and range.
class Codec {
 public:
  virtual ~Codec() = default;
  virtual std::string name() const = 0;
  // True if Decode(Encode(x)) may differ from x; then callers keep a residual (error feedback).
  virtual bool lossy() const = 0;
  // Upper bound of a packet for n values.
  virtual size_t MaxBytes(size_t n) const = 0;

  // Appends a packet for `values` [n] f32 to `packet`.
  //   residual  [n] f32 read and written, or empty: what earlier packets left out is added first,
  //   what this one leaves
  //             out stays. Exactly: values + residual before = decoded + residual after, in f32
  //             arithmetic.
  // Errors: kInvalidArgument if residual is neither empty nor of n values.
  virtual Status Encode(std::span<const float> values, std::span<float> residual,
                        Bytes* packet) const = 0;

  // Writes all n values of a packet. Errors: kDataLoss for a packet that is truncated, damaged, of
  // another codec or not of n values; `values` is then unspecified. Never reads or writes outside
  // its arguments, never allocates by what the packet claims.
  virtual Status Decode(ByteView packet, std::span<float> values) const = 0;
};

// Known names, in the order to show them: "dense", "fp16".
std::vector<std::string> CodecNames();
// Errors: kInvalidArgument for an unknown name, with a did-you-mean.
Result<std::unique_ptr<Codec>> MakeCodec(const std::string& name);

}  // namespace weft::codec
