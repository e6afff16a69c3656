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

// Layers that make a value which the backward pass reads, in order, and the bytes of such values:
// [layers], 0 for others. The draft is one for training.
std::vector<size_t> KeptBytes(const Draft& draft, size_t layers);

}  // namespace weft::plan
