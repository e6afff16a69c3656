// Pooling over windows that are cut at the image's edge: padding is never a maximum and is not
// counted in an average. The first of equal maxima wins; the workspace holds its place in the plane
// (int32).

#include <algorithm>

#include "kernel/reference_backend.h"
#include "kernel/reference_op.h"

namespace weft::kernel {

namespace {

// The part of a window that lies in the image: rows [top, bottom), columns [left, right).
struct Window {
  int64_t top, bottom, left, right;

  Window(const PoolDesc& d, int64_t y, int64_t x) {
    const int64_t row = y * d.stride_height - d.pad_top;
    const int64_t col = x * d.stride_width - d.pad_left;
    top = std::max<int64_t>(row, 0);
    bottom = std::min(row + d.kernel_height, d.src[2]);
    left = std::max<int64_t>(col, 0);
    right = std::min(col + d.kernel_width, d.src[3]);
  }
  double count() const { return static_cast<double>((bottom - top) * (right - left)); }
};

// Calls body(window, offset of the src plane, index in dst) for every output element.
template <class Body>
void ForEachWindow(const PoolDesc& d, Body body) {
  const Shape dst = d.dst_shape();
  int64_t index = 0;
  for (int64_t plane = 0; plane < dst[0] * dst[1]; ++plane) {
    for (int64_t y = 0; y < dst[2]; ++y) {
      for (int64_t x = 0; x < dst[3]; ++x) {
        body(Window(d, y, x), plane * d.src[2] * d.src[3], index++);
      }
    }
  }
}

void MaxForward(const PoolDesc& d, const float* src, float* dst, int32_t* place) {
  ForEachWindow(d, [&](const Window& w, int64_t plane, int64_t index) {
    int64_t best = w.top * d.src[3] + w.left;
    for (int64_t y = w.top; y < w.bottom; ++y) {
      for (int64_t x = w.left; x < w.right; ++x) {
        if (src[plane + y * d.src[3] + x] > src[plane + best]) best = y * d.src[3] + x;
      }
    }
    dst[index] = src[plane + best];
    if (place != nullptr) place[index] = static_cast<int32_t>(best);
  });
}

void AverageForward(const PoolDesc& d, const float* src, float* dst) {
  ForEachWindow(d, [&](const Window& w, int64_t plane, int64_t index) {
    double sum = 0;
    for (int64_t y = w.top; y < w.bottom; ++y) {
      for (int64_t x = w.left; x < w.right; ++x) sum += src[plane + y * d.src[3] + x];
    }
    dst[index] = static_cast<float>(sum / w.count());
  });
}

void MaxBackward(const PoolDesc& d, const float* diff_dst, const int32_t* place, float* diff_src) {
  std::fill_n(diff_src, d.src.elements(), 0.0f);
  ForEachWindow(d, [&](const Window&, int64_t plane, int64_t index) {
    diff_src[plane + place[index]] += diff_dst[index];
  });
}

void AverageBackward(const PoolDesc& d, const float* diff_dst, float* diff_src) {
  std::fill_n(diff_src, d.src.elements(), 0.0f);
  ForEachWindow(d, [&](const Window& w, int64_t plane, int64_t index) {
    const float share = static_cast<float>(diff_dst[index] / w.count());
    for (int64_t y = w.top; y < w.bottom; ++y) {
      for (int64_t x = w.left; x < w.right; ++x) diff_src[plane + y * d.src[3] + x] += share;
    }
  });
}

PoolLayouts PlainLayouts(const PoolDesc& d) { return {Layout(d.src), Layout(d.dst_shape())}; }

size_t PlaceBytes(const PoolDesc& d) {
  return static_cast<size_t>(d.dst_shape().elements()) * sizeof(int32_t);
}

}  // namespace

Backend::OpResult ReferenceBackend::PoolForward(const PoolDesc& d, const Layout&, bool training) {
  if (d.kind == PoolDesc::Kind::kAverage) {
    return MakeReferenceOp(PoolForwardPorts(PlainLayouts(d), 0), [d](const Arguments& args) {
      AverageForward(d, args.in(0), args.out(1));
    });
  }
  return MakeReferenceOp(PoolForwardPorts(PlainLayouts(d), training ? PlaceBytes(d) : 0),
                         [d, training](const Arguments& args) {
                           MaxForward(d, args.in(0), args.out(1),
                                      training ? args.at<int32_t>(2) : nullptr);
                         });
}

Backend::OpResult ReferenceBackend::PoolBackward(const PoolDesc& d, const Layout&, const Layout&) {
  if (d.kind == PoolDesc::Kind::kAverage) {
    return MakeReferenceOp(PoolBackwardPorts(PlainLayouts(d), 0), [d](const Arguments& args) {
      AverageBackward(d, args.in(0), args.out(1));
    });
  }
  return MakeReferenceOp(
      PoolBackwardPorts(PlainLayouts(d), PlaceBytes(d)),
      [d](const Arguments& args) { MaxBackward(d, args.in(0), args.at<int32_t>(1), args.out(2)); });
}

}  // namespace weft::kernel
