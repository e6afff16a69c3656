#pragma once
// Fp16: every value as IEEE half, 2 bytes each, rounded to nearest even; beyond +-65504 it is
// clamped and the rest waits in the residual. Infinities and NaNs are sent as they are.

#include <memory>

#include "codec/codec.h"

namespace weft::codec {

std::unique_ptr<Codec> MakeFp16();

}  // namespace weft::codec
