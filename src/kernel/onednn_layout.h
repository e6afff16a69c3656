#pragma once
// Between weft's Layout and oneDNN's memory descriptor. The descriptor may have other extents than
// the logical shape (grouped weights are 5-D, weights of a linear layer after an image 4-D); only
// the order of the numbers counts.

#include <oneapi/dnnl/dnnl.hpp>

#include "kernel/layout.h"

namespace weft::kernel {

using dnnl::memory;

memory::dims DimsOf(const Shape& shape);

memory::desc PlainDesc(const memory::dims& dims);
memory::desc AnyDesc(const memory::dims& dims);

// The descriptor behind `layout`, seen with `dims` (the same count of numbers) if it is plain.
memory::desc DescOf(const Layout& layout, const memory::dims& dims);
memory::desc DescOf(const Layout& layout);

// True for a blocked layout of another backend: there is no descriptor behind it.
bool IsForeign(const Layout& layout);

// Plain if the bytes are in row-major order without padding, however the library calls it.
Layout LayoutOf(const Shape& shape, const memory::desc& desc);

// A descriptor of `dims` blocked and ordered as `model` is, e.g. both nChw8c. Empty if `model` has
// none of the usual forms of activations.
memory::desc DescLike(const memory::desc& model, const memory::dims& dims);

// 8 for nChw8c, 16 for nChw16c: `layout` holds, per sample, blocks of so many channels, in each the
// pixels, in each its channels side by side. 0 for any other layout.
int64_t ChannelBlockOf(const Layout& layout);
// The layout of an (N, C, H, W) image for which ChannelBlockOf is `block`, 8 or 16.
Layout ImageLayout(const Shape& shape, int64_t block);
// The layout of (out, in, h, w) weights that goes with such images: [out / block][in / block][h][w]
// [block of in][block of out].
Layout WeightsLayout(const Shape& shape, int64_t block);

// "[65536 8192 256 8 | 8b]": strides, then the inner blocks by size and axis.
std::string DescText(const memory::desc& desc);

}  // namespace weft::kernel
