#pragma once
// Update size: the bytes that an update is expected to take on the wire, by what its codec is told
// to send. A codec's MaxBytes is the bound; this is what to plan with.
//
// Of each chunk of c values an encoder sends k = ceil(density * c): their positions, and each in
// the bits of its kind beside the chunk's scale (codec/quantise.h). If all choices are as likely as
// each other, the gaps between positions are geometric, with q = (c - k) / (c + 1), and the code of
// codec/positions.h takes
//
//   k (p + 1) + k q^m / (1 - q^m) + q / (1 - q^m) bits,   m = 2^p, p the best of 0..11
//
// which is 1 to 4 % above their entropy.

#include <cstdint>
#include <span>

#include "codec/codec.h"

namespace weft::plan {

// Where a vector is made of tensors, those of fewer trained values are sent whole, as int8, and
// statistics as fp16.
inline constexpr int64_t kSmallTensor = 2048;

// Bits of the positions of `chosen` among `span`, both at least 1, chosen <= span.
double PositionBits(int64_t chosen, int64_t span);

// Bytes of one update of `values` values, its frame included. `tensors` as in codec::CodecOptions;
// empty: it is one of that size. values >= 0, 0 < density.
double UpdateBytes(const codec::Target& target, int64_t values,
                   std::span<const codec::Tensor> tensors = {});

// The same for a codec as a job names it, once its warm-up is over. What it is told to leave to the
// codec is as the codec has it; "auto" is what it sends until it is aimed, all values as fp32.
// "3lc" chooses by size: it is counted for normal values, of which about 7 % are above half of
// their chunk's largest. "powersgd" sends matrices of which it does not know the rows as int8.
// The name is one that MakeCodec takes.
double UpdateBytes(const codec::CodecOptions& options, int64_t values);

// What such a codec sends, as far as a density and a kind of values say it.
codec::Target TargetOf(const codec::CodecOptions& options);

}  // namespace weft::plan
