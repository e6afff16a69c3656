#pragma once
// Codec: a piece of the parameter vector to bytes and back. MakeCodec is the list. The seam has
// three parts as in hivemind's compression: Encode, Decode, and an estimate of the size (MaxBytes).

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "codec/quantise.h"

namespace weft::codec {

// A stretch of the flat vector that is chosen from, and scaled, by itself: a layer's weights, say.
struct Tensor {
  int64_t begin = 0;
  int64_t count = 0;
  int64_t rows = 1;     // of the matrix that it is, for low rank; divides count
  bool trained = true;  // false: measured statistics, of which no residual is kept
  bool operator==(const Tensor&) const = default;
};

// Where the values of a packet stand, and what they are an update of.
struct Place {
  int64_t begin = 0;  // of the flat vector
  uint64_t run = 0;   // a hash of the run's id
  int64_t base = 0;   // version of the parameters that they were computed with
};

// What an encoder carries from one packet of a stretch to the next; each is empty, or as long as
// the values.
struct Carry {
  // What earlier packets left out is added first, what this one leaves out stays. Exactly: values +
  // residual before = decoded + residual after, in f32 arithmetic; where a kind of values sends
  // less or more than half as much again of one, up to the rounding of that difference.
  std::span<float> residual;
  // Set to 0 where a value was selected among others (momentum factor masking: Lin et al. 2018,
  // section 3.3); codecs that send all of a tensor leave it as it is.
  std::span<float> velocity;
};

// How much an encoder sends from now on.
struct Target {
  double density = 1;                      // share of the values; 1: all
  ValueKind values = ValueKind::kFloat32;  // what each becomes
  bool operator==(const Target&) const = default;
};

// Threads: Encode and Aim one (an encoder may keep a threshold from one packet to the next); the
// others any. The residual belongs to the caller, one per sender and range.
class Codec {
 public:
  virtual ~Codec() = default;
  virtual std::string name() const = 0;
  // True if Decode(Encode(x)) may differ from x; then callers keep a residual (error feedback).
  virtual bool lossy() const = 0;
  // Upper bound of a packet for n values, whatever it aims at.
  virtual size_t MaxBytes(size_t n) const = 0;
  // For codecs that can be told while they run; others go on as they are.
  virtual void Aim(const Target&) {}

  // Appends a packet for `values` [n] f32 to `packet`.
  // Errors: kInvalidArgument if part of `carry` is neither empty nor of n values.
  virtual Status Encode(const Place& place, std::span<const float> values, const Carry& carry,
                        Bytes* packet) = 0;
  // Writes all n values of a packet; 0 where it has none. Errors: kDataLoss for a packet that is
  // truncated, damaged, of another codec, place or not of n values; `values` is then unspecified.
  // Never reads or writes outside its arguments, never allocates by what the packet claims.
  virtual Status Decode(const Place& place, ByteView packet, std::span<float> values) const = 0;

  // sum += weight * what Decode writes, value by value in f32. Errors: those of Decode; `sum` is as
  // it was then. Codecs that send few values need no memory for it; others take that of n values.
  virtual Status Add(const Place& place, ByteView packet, float weight, std::span<float> sum) const;

  // The same of codecs that do not ask where values stand.
  Status Encode(std::span<const float> values, std::span<float> residual, Bytes* packet) {
    return Encode(Place(), values, {.residual = residual, .velocity = {}}, packet);
  }
  Status Decode(ByteView packet, std::span<float> values) const {
    return Decode(Place(), packet, values);
  }
};

struct CodecOptions {
  std::string name = "dense";
  // For all but "dense" and "fp16":
  double density = 0;           // share of the values that is sent; 0: the codec's own
  std::string values;           // ValueKindName; empty: the codec's own
  int64_t rank = 0;             // of "powersgd"; 0: its own
  int64_t warmup = 0;           // versions in which the density falls to its end
  int64_t flush = 0;            // updates within which each value travels; 0: no such bound
  std::vector<Tensor> tensors;  // ascending, tile the vector; empty: it is one
  bool operator==(const CodecOptions&) const = default;
};

// Leaves values out of a packet, to send them later.
bool Selects(const CodecOptions& options);

// True for codecs whose packets leave something out that later ones make up for: of parameters they
// carry differences, and a whole vector travels as it is.
bool SendsDifferences(const CodecOptions& options);

// Known names, in the order to show them.
std::vector<std::string> CodecNames();
// Errors: kInvalidArgument for an unknown name, with a did-you-mean, and for options out of range.
Result<std::unique_ptr<Codec>> MakeCodec(const CodecOptions& options);
inline Result<std::unique_ptr<Codec>> MakeCodec(const std::string& name) {
  CodecOptions options;
  options.name = name;
  return MakeCodec(options);
}

}  // namespace weft::codec
