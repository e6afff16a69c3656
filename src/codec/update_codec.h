#pragma once
// UpdateCodec: the sparse update, one pipeline from a gradient to a packet and back:
//
//   values + residual -> select -> quantise -> pack -> frame          docs/formats/update.md
//
// Codecs that share it differ in what they select and how many bits they spend; the frame says what
// was done, so that any of them reads what another wrote.

#include <memory>

#include "base/status.h"
#include "codec/codec.h"

namespace weft::codec {

// "int8", "3lc", "chunk-topk", "dgc", "powersgd", "auto".
bool IsUpdateCodec(const std::string& name);

// Errors: kInvalidArgument for options out of range, or that this codec has no use for.
Result<std::unique_ptr<Codec>> MakeUpdateCodec(const CodecOptions& options);

}  // namespace weft::codec
