#pragma once
// Measures codecs on one core: what `weft bench codec` prints.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "codec/codec.h"

namespace weft::app {

struct BenchCodecOptions {
  std::string name;           // one codec; empty: all
  int64_t values = 10000000;  // of the vector, which is one matrix about as wide as high
  double density = 0.01;      // of the codecs that select; 0: their own
  std::string kind;           // of the values of those; empty: their own
  double seconds = 1;         // of each timed call, in all
};

struct BenchCodecResult {
  std::string name;
  int64_t bytes = 0;  // of a packet, once the residual has grown
  double ratio = 0;   // bytes of f32 over that
  // Bytes of f32 a second of the calling thread's own time, from the median call, in 1e9.
  double encode_gbps = 0;
  double add_gbps = 0;        // decode and add
  double error = 0;           // of the first packet: squared error over the sum of squares
  int64_t encoder_bytes = 0;  // memory that the encoder holds beside residual and packet
};

// Encodes a vector of heavy-tailed values with a residual, over and over, and adds what comes out.
// Errors: kInvalidArgument for an unknown codec, or no values.
Result<std::vector<BenchCodecResult>> BenchCodecs(const BenchCodecOptions& options);

}  // namespace weft::app
