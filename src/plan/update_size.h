#pragma once
// Update size: the bytes that an update is expected to take on the wire, by what its codec is told
// to send. A codec's MaxBytes is the bound; this is what to plan with.
//
// Of each chunk of c values an encoder sends k, about density * c: their positions, and the values
// in the bits of their kind beside a scale for at least 64 of them (codec/selection.h). If all
// choices are as likely as each other, the gaps between positions are geometric, with
// q = (c - k) / (c + 1), and the code of codec/positions.h takes
//
//   k (p + 1) + k q^m / (1 - q^m) + q / (1 - q^m) bits,   m = 2^p, p the best of 0..11
//
// which is 1 to 4 % above their entropy.

#include <cstdint>
#include <span>

#include "codec/codec.h"

namespace weft::plan {

// Bits of `chosen` positions on average among `span`; span >= 1, 0 <= chosen <= span.
double PositionBits(double chosen, int64_t span);

// Bytes of one update of `values` values, its frame included. `tensors` as in codec::CodecOptions;
// empty: it is one of that size. values >= 0, density above 0.
double UpdateBytes(const codec::Target& target, int64_t values,
                   std::span<const codec::Tensor> tensors = {});

// The same for a codec as a job names it, once its warm-up is over. What options leave to the codec
// is as the codec has it; "auto" is what it sends until it is aimed, all values as fp32. What "3lc"
// sends depends on the values: it is counted for normal ones after many updates.
// The options are such as MakeCodec takes.
double UpdateBytes(const codec::CodecOptions& options, int64_t values);

}  // namespace weft::plan
