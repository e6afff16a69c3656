#pragma once
// Recomputation: what some layers made in the forward pass is not kept for the backward pass; where
// that needs it, the forward steps run again, from what is kept. Source: Chen, Xu, Zhang and
// Guestrin 2016, "Training Deep Nets with Sublinear Memory Cost". The same kernels on the same
// numbers: gradients are equal bit for bit.

#include <vector>

#include "plan/draft.h"

namespace weft::plan {

// `layers`: whose forward values the backward pass makes anew, each at most once, just before its
// first use there; a value nobody asks for is not made. What is wanted for that alone, and would
// not be kept otherwise, is made anew too. No layers: the draft as it is.
Draft Recompute(Draft draft, const std::vector<int>& layers);

// What a layer keeps for the backward pass.
struct KeptLayer {
  size_t bytes = 0;  // 0: nothing
  int readers = 0;   // steps of the forward pass that read what it made
};
// [layers]. The draft is one for training.
std::vector<KeptLayer> KeptLayers(const Draft& draft, size_t layers);

}  // namespace weft::plan
