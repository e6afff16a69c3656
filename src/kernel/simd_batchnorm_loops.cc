#include "kernel/simd_batchnorm_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernel/simd_batchnorm_loops.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace weft::kernel {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
// A group is a whole number of these; the columns of a run are walked one after the other, while
// its lines are in the nearest cache.
using Tag = hn::CappedTag<float, 8>;
using Vector = hn::Vec<Tag>;

int64_t MaskBytes(int64_t lanes) { return lanes / static_cast<int64_t>(hn::Lanes(Tag())); }

// Calls body(lane, bit byte of the column) for each vector of a group.
template <class Body>
HWY_INLINE void ForEachColumn(const LoopExtents& e, const Body& body) {
  const int64_t width = static_cast<int64_t>(hn::Lanes(Tag()));
  for (int64_t lane = 0, column = 0; lane < e.lanes; lane += width, ++column) body(lane, column);
}

// Two sums over a run, each in four parts so that the additions overlap and stay short.
struct Sums {
  Vector first, second;
};

HWY_INLINE Sums NoSums() { return {hn::Zero(Tag()), hn::Zero(Tag())}; }

HWY_INLINE void AddLanes(Vector a, Vector b, Vector c, Vector d, double* total) {
  const Tag tag;
  HWY_ALIGN float lanes[hn::MaxLanes(Tag())];
  hn::Store(hn::Add(hn::Add(a, b), hn::Add(c, d)), tag, lanes);
  for (size_t i = 0; i < hn::Lanes(tag); ++i) total[i] += static_cast<double>(lanes[i]);
}

// Calls add(sums, offset in floats, group) for each group of a column, then adds up the sums.
template <class Add>
HWY_INLINE void SumColumn(const LoopExtents& e, const Add& add, double* first, double* second) {
  Sums a = NoSums(), b = NoSums(), c = NoSums(), d = NoSums();
  for (int64_t row = 0; row < e.rows; ++row) {
    int64_t at = row * e.row_step;
    int64_t group = row * e.row_groups;
    const int64_t end = group + e.count;
    for (; group + 4 <= end; group += 4, at += 4 * e.group_step) {
      add(a, at, group);
      add(b, at + e.group_step, group + 1);
      add(c, at + 2 * e.group_step, group + 2);
      add(d, at + 3 * e.group_step, group + 3);
    }
    for (; group < end; ++group, at += e.group_step) add(a, at, group);
  }
  AddLanes(a.first, b.first, c.first, d.first, first);
  AddLanes(a.second, b.second, c.second, d.second, second);
}

// Calls body(offset in floats, group) for each group. The extents come by value: a store of bytes
// into the mask may not be taken for one that changes them.
template <class Body>
HWY_INLINE void ForEachGroup(const LoopExtents e, const Body& body) {
  for (int64_t row = 0; row < e.rows; ++row) {
    int64_t at = row * e.row_step;
    int64_t group = row * e.row_groups;
    for (const int64_t end = group + e.count; group < end; ++group, at += e.group_step) {
      body(at, group);
    }
  }
}

void AddStatistics(const LoopExtents& e, const float* src, const float* shift, double* first,
                   double* second) {
  const Tag tag;
  ForEachColumn(e, [&](int64_t lane, int64_t) HWY_ATTR {
    const auto center = hn::LoadU(tag, shift + lane);
    const auto add = [&](Sums& sums, int64_t at, int64_t) HWY_ATTR {
      const auto x = hn::Sub(hn::LoadU(tag, src + lane + at), center);
      sums.first = hn::Add(sums.first, x);
      sums.second = hn::MulAdd(x, x, sums.second);
    };
    SumColumn(e, add, first + lane, second + lane);
  });
}

struct Normalizer {
  Vector mean, scale, offset;

  HWY_INLINE Vector operator()(const float* src) const {
    return hn::MulAdd(hn::Sub(hn::LoadU(Tag(), src), mean), scale, offset);
  }
  // Stores the value with relu; returns the bits of the lanes that it cut.
  HWY_INLINE uint8_t Relu(const float* src, float* dst) const {
    const Vector y = (*this)(src);
    const auto cut = hn::Le(y, hn::Zero(Tag()));
    hn::StoreU(hn::IfThenZeroElse(cut, y), Tag(), dst);
    uint8_t bits[8];
    hn::StoreMaskBits(Tag(), cut, bits);
    return bits[0];
  }
};

// The bytes of four groups go out at once where they are neighbours: the stores of dst keep the
// store queue full as it is.
HWY_INLINE void NormalizeMasked(const LoopExtents e, const Normalizer normalize, const float* src,
                                float* dst, int64_t mask_bytes, uint8_t* mask) {
  for (int64_t row = 0; row < e.rows; ++row) {
    const float* from = src + row * e.row_step;
    float* to = dst + row * e.row_step;
    uint8_t* bits = mask + row * e.row_groups * mask_bytes;
    int64_t i = 0;
    for (; mask_bytes == 1 && i + 4 <= e.count; i += 4) {
      uint8_t four[4];
      for (int64_t k = 0; k < 4; ++k) {
        four[k] = normalize.Relu(from + (i + k) * e.group_step, to + (i + k) * e.group_step);
      }
      hwy::CopyBytes<4>(four, bits + i);
    }
    for (; i < e.count; ++i) {
      bits[i * mask_bytes] = normalize.Relu(from + i * e.group_step, to + i * e.group_step);
    }
  }
}

void Normalize(const LoopExtents& e, const BatchnormCoefficients& c, bool relu, const float* src,
               float* dst, uint8_t* mask) {
  const Tag tag;
  const int64_t mask_bytes = MaskBytes(e.lanes);
  ForEachColumn(e, [&](int64_t lane, int64_t column) HWY_ATTR {
    const Normalizer normalize = {hn::LoadU(tag, c.mean + lane), hn::LoadU(tag, c.scale + lane),
                                  hn::LoadU(tag, c.offset + lane)};
    const float* from = src + lane;
    float* to = dst + lane;
    if (mask != nullptr) {
      NormalizeMasked(e, normalize, from, to, mask_bytes, mask + column);
    } else if (relu) {
      ForEachGroup(e, [&](int64_t at, int64_t) HWY_ATTR { normalize.Relu(from + at, to + at); });
    } else {
      ForEachGroup(
          e, [&](int64_t at, int64_t) HWY_ATTR { hn::StoreU(normalize(from + at), tag, to + at); });
    }
  });
}

// diff_dst where relu let the gradient through.
template <bool kMask>
HWY_INLINE Vector Gradient(const float* diff_dst, const uint8_t* bits) {
  const Tag tag;
  const auto g = hn::LoadU(tag, diff_dst);
  if constexpr (kMask) return hn::IfThenZeroElse(hn::LoadMaskBits(tag, bits), g);
  return g;
}

template <bool kMask>
HWY_INLINE void AddGradientColumns(const LoopExtents& e, const float* mean, const float* src,
                                   const float* diff_dst, const uint8_t* mask, double* first,
                                   double* second) {
  const Tag tag;
  const int64_t mask_bytes = MaskBytes(e.lanes);
  ForEachColumn(e, [&](int64_t lane, int64_t column) HWY_ATTR {
    const auto center = hn::LoadU(tag, mean + lane);
    const auto add = [&](Sums& sums, int64_t at, int64_t group) HWY_ATTR {
      const auto g = Gradient<kMask>(diff_dst + lane + at, mask + group * mask_bytes + column);
      const auto x = hn::Sub(hn::LoadU(tag, src + lane + at), center);
      sums.first = hn::Add(sums.first, g);
      sums.second = hn::MulAdd(g, x, sums.second);
    };
    SumColumn(e, add, first + lane, second + lane);
  });
}

void AddGradients(const LoopExtents& e, const float* mean, const float* src, const float* diff_dst,
                  const uint8_t* mask, double* first, double* second) {
  const auto run = mask == nullptr ? AddGradientColumns<false> : AddGradientColumns<true>;
  run(e, mean, src, diff_dst, mask, first, second);
}

template <bool kMask>
HWY_INLINE void NormalizeBackwardColumns(const LoopExtents& e, const BatchnormCoefficients& c,
                                         const float* src, const float* diff_dst,
                                         const uint8_t* mask, float* diff_src) {
  const Tag tag;
  const int64_t mask_bytes = MaskBytes(e.lanes);
  ForEachColumn(e, [&](int64_t lane, int64_t column) HWY_ATTR {
    const auto mean = hn::LoadU(tag, c.mean + lane);
    const auto scale = hn::LoadU(tag, c.scale + lane);
    const auto slope = hn::LoadU(tag, c.slope + lane);
    const auto offset = hn::LoadU(tag, c.offset + lane);
    ForEachGroup(e, [&](int64_t at, int64_t group) HWY_ATTR {
      const auto g = Gradient<kMask>(diff_dst + lane + at, mask + group * mask_bytes + column);
      const auto x = hn::Sub(hn::LoadU(tag, src + lane + at), mean);
      hn::StoreU(hn::MulAdd(scale, g, hn::MulAdd(slope, x, offset)), tag, diff_src + lane + at);
    });
  });
}

void NormalizeBackward(const LoopExtents& e, const BatchnormCoefficients& c, const float* src,
                       const float* diff_dst, const uint8_t* mask, float* diff_src) {
  const auto run =
      mask == nullptr ? NormalizeBackwardColumns<false> : NormalizeBackwardColumns<true>;
  run(e, c, src, diff_dst, mask, diff_src);
}

}  // namespace HWY_NAMESPACE
}  // namespace weft::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::kernel {

HWY_EXPORT(AddStatistics);
HWY_EXPORT(Normalize);
HWY_EXPORT(AddGradients);
HWY_EXPORT(NormalizeBackward);
HWY_EXPORT(MaskBytes);

void AddStatistics(const LoopExtents& extents, const float* src, const float* shift, double* first,
                   double* second) {
  HWY_DYNAMIC_DISPATCH(AddStatistics)(extents, src, shift, first, second);
}

void Normalize(const LoopExtents& extents, const BatchnormCoefficients& c, bool relu,
               const float* src, float* dst, uint8_t* mask) {
  HWY_DYNAMIC_DISPATCH(Normalize)(extents, c, relu, src, dst, mask);
}

void AddGradients(const LoopExtents& extents, const float* mean, const float* src,
                  const float* diff_dst, const uint8_t* mask, double* first, double* second) {
  HWY_DYNAMIC_DISPATCH(AddGradients)(extents, mean, src, diff_dst, mask, first, second);
}

void NormalizeBackward(const LoopExtents& extents, const BatchnormCoefficients& c, const float* src,
                       const float* diff_dst, const uint8_t* mask, float* diff_src) {
  HWY_DYNAMIC_DISPATCH(NormalizeBackward)(extents, c, src, diff_dst, mask, diff_src);
}

int64_t MaskBytes(int64_t lanes) { return HWY_DYNAMIC_DISPATCH(MaskBytes)(lanes); }

}  // namespace weft::kernel
#endif  // HWY_ONCE
