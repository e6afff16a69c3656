#include "kernel/onednn_layout.h"

namespace weft::kernel {

namespace {

using Tag = memory::format_tag;

class OnednnBlocked : public Layout::Blocked {
 public:
  explicit OnednnBlocked(const memory::desc& desc) : desc_(desc) {}

  size_t bytes() const override { return desc_.get_size(); }
  bool Equals(const Blocked& other) const override {
    const auto* same = dynamic_cast<const OnednnBlocked*>(&other);
    return same != nullptr && same->desc_ == desc_;
  }
  std::string ToString() const override { return DescText(desc_); }
  const memory::desc& desc() const { return desc_; }

 private:
  memory::desc desc_;
};

// One step of the nested loops that walk the logical extents in row-major order.
struct Piece {
  int64_t extent, stride;
};

// True if walking the pieces of all axes, outer before inner, visits the memory in sequence.
bool IsRowMajor(const memory::desc& desc) {
  const dnnl_memory_desc_t& md = desc.data;
  const dnnl_blocking_desc_t& blocking = md.format_desc.blocking;
  if (md.format_kind != dnnl_blocked || md.extra.flags != 0) return false;
  int64_t inner_stride[DNNL_MAX_NDIMS];
  int64_t block[DNNL_MAX_NDIMS];  // product of the inner blocks of an axis
  std::fill_n(block, md.ndims, 1);
  int64_t step = 1;
  for (int b = blocking.inner_nblks - 1; b >= 0; --b) {
    inner_stride[b] = step;
    step *= blocking.inner_blks[b];
    block[blocking.inner_idxs[b]] *= blocking.inner_blks[b];
  }
  std::vector<Piece> pieces;
  for (int axis = 0; axis < md.ndims; ++axis) {
    if (md.padded_dims[axis] != md.dims[axis]) return false;
    pieces.push_back({md.dims[axis] / block[axis], blocking.strides[axis]});
    for (int b = 0; b < blocking.inner_nblks; ++b) {
      if (blocking.inner_idxs[b] == axis) {
        pieces.push_back({blocking.inner_blks[b], inner_stride[b]});
      }
    }
  }
  int64_t want = 1;
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
    if (piece->extent != 1 && piece->stride != want) return false;
    want *= piece->extent;
  }
  return true;
}

}  // namespace

memory::dims DimsOf(const Shape& shape) { return {shape.dims().begin(), shape.dims().end()}; }

memory::desc PlainDesc(const memory::dims& dims) {
  memory::dims strides(dims.size());
  int64_t step = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = step;
    step *= dims[i];
  }
  return {dims, memory::data_type::f32, strides};
}

memory::desc AnyDesc(const memory::dims& dims) { return {dims, memory::data_type::f32, Tag::any}; }

memory::desc DescOf(const Layout& layout, const memory::dims& dims) {
  if (layout.plain()) return PlainDesc(dims);
  const auto* blocked = dynamic_cast<const OnednnBlocked*>(layout.blocked());
  CHECK(blocked != nullptr) << "a layout of another backend: " << layout.ToString();
  return blocked->desc();
}

memory::desc DescOf(const Layout& layout) { return DescOf(layout, DimsOf(layout.shape())); }

bool IsForeign(const Layout& layout) {
  return !layout.plain() && dynamic_cast<const OnednnBlocked*>(layout.blocked()) == nullptr;
}

Layout LayoutOf(const Shape& shape, const memory::desc& desc) {
  if (IsRowMajor(desc)) return Layout(shape);
  return Layout(shape, std::make_shared<OnednnBlocked>(desc));
}

memory::desc DescLike(const memory::desc& model, const memory::dims& dims) {
  for (const Tag tag : {Tag::abcd, Tag::aBcd8b, Tag::aBcd16b, Tag::acdb, Tag::aBcd4b}) {
    if (model.dims().size() == 4 && model == memory::desc(model.dims(), model.data_type(), tag)) {
      return {dims, memory::data_type::f32, tag};
    }
  }
  return {};
}

int64_t ChannelBlockOf(const Layout& layout) {
  if (layout.plain() || IsForeign(layout) || layout.shape().rank() != 4) return 0;
  const memory::desc desc = DescOf(layout);
  const memory::dims dims = DimsOf(layout.shape());
  if (desc == memory::desc(dims, memory::data_type::f32, Tag::aBcd8b)) return 8;
  if (desc == memory::desc(dims, memory::data_type::f32, Tag::aBcd16b)) return 16;
  return 0;
}

Layout ImageLayout(const Shape& shape, int64_t block) {
  const Tag tag = block == 8 ? Tag::aBcd8b : Tag::aBcd16b;
  return LayoutOf(shape, memory::desc(DimsOf(shape), memory::data_type::f32, tag));
}

Layout WeightsLayout(const Shape& shape, int64_t block) {
  const Tag tag = block == 8 ? Tag::ABcd8b8a : Tag::ABcd16b16a;
  return LayoutOf(shape, memory::desc(DimsOf(shape), memory::data_type::f32, tag));
}

std::string DescText(const memory::desc& desc) {
  const dnnl_blocking_desc_t& blocking = desc.data.format_desc.blocking;
  std::string text = "[";
  for (int axis = 0; axis < desc.data.ndims; ++axis) {
    text += std::to_string(blocking.strides[axis]) + " ";
  }
  text += "|";
  for (int b = 0; b < blocking.inner_nblks; ++b) {
    text += " " + std::to_string(blocking.inner_blks[b]) +
            static_cast<char>('a' + blocking.inner_idxs[b]);
  }
  return text + "]";
}

}  // namespace weft::kernel
