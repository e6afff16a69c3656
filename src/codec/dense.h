#pragma once
// Dense: every value as f32, 4 bytes each. Lossless, the reference for all other codecs.

#include <memory>

#include "codec/codec.h"

namespace weft::codec {

std::unique_ptr<Codec> MakeDense();

}  // namespace weft::codec
