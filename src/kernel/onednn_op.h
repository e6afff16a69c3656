#pragma once
// OnednnOp: one oneDNN primitive behind weft's Op. Everything is created at Bind; Run only calls
// the library with a prepared argument list.

#include <string>
#include <vector>

#include "kernel/backend.h"
#include "kernel/onednn_layout.h"

namespace weft::kernel {

// How one port reaches the primitive, in the order of the ports.
struct OnednnArgument {
  int index;  // DNNL_ARG_SRC, ...
  memory::desc desc;
  int also = 0;  // a second argument that must be there but is not read; 0: none
};

// What the library made of a description: the primitive and what it needs beside its arguments.
struct OnednnPlan {
  dnnl::primitive primitive;
  memory::desc scratchpad;
  std::string implementation;  // of the library: "jit:avx2"
  int threads = 1;
};

template <class PrimitiveDesc, class Primitive>
OnednnPlan PlanOf(const PrimitiveDesc& desc, int threads) {
  return {Primitive(desc), desc.scratchpad_desc(), desc.impl_info_str(), threads};
}

Backend::OpResult MakeOnednnOp(const OnednnPlan& plan, std::vector<Port> ports,
                               std::vector<OnednnArgument> arguments);

const dnnl::engine& Engine();

// Attributes of every primitive here: the caller gives the scratch memory.
dnnl::primitive_attr Attributes(Activation activation = Activation::kNone, float slope = 0);

// Makes the calling thread's kernels run on `threads` threads. Also before creating a primitive:
// the library cuts the work at creation.
void UseThreads(int threads);

// True for the library's fallbacks ("ref:any"), hundreds of times slower than the rest.
bool IsSlow(const std::string& implementation);
// True for what is made for the shape, not lowered to a matrix product.
bool IsDirect(const std::string& implementation);

// Runs body(); what the library throws becomes kUnimplemented naming the operation.
template <class Body>
Backend::OpResult Refusable(const char* what, Body body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    return base::Unimplemented(std::string("onednn: ") + what + ": " + error.what());
  }
}

}  // namespace weft::kernel
