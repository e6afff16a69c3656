#pragma once
// Small pieces shared by the reference operations.

#include <memory>
#include <utility>
#include <vector>

#include "kernel/backend.h"
#include "kernel/function_op.h"
#include "kernel/ports.h"

namespace weft::kernel {

inline Backend::OpResult MakeReferenceOp(std::vector<Port> ports, FunctionOp::Body body,
                                         size_t scratch_bytes = 0) {
  return std::unique_ptr<Op>(
      std::make_unique<FunctionOp>("reference", std::move(ports), std::move(body), scratch_bytes));
}

inline float Activate(Activation activation, float slope, float x) {
  if (activation == Activation::kNone || x > 0) return x;
  return activation == Activation::kRelu ? 0.0f : slope * x;
}

}  // namespace weft::kernel
