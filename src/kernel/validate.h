#pragma once
// Validate: whether a description makes sense at all, asked once in front of every backend, so that
// the backends themselves may trust what they get. Errors: kInvalidArgument, "what: got X, want Y".

#include <string_view>

#include "base/status.h"
#include "kernel/backend.h"

namespace weft::kernel {

Status Validate(const ConvDesc& desc);
Status Validate(const LinearDesc& desc);
Status Validate(const BatchnormDesc& desc);
Status Validate(const PoolDesc& desc);
Status Validate(const DropoutDesc& desc);
Status Validate(const LossDesc& desc);

// `layout` of port `what` must be of `shape`.
Status ValidateLayout(std::string_view what, const Layout& layout, const Shape& shape);

}  // namespace weft::kernel
