// Activation, add, dropout, and copies between plain layouts.

#include <cstring>

#include "base/rng.h"
#include "kernel/reference_backend.h"
#include "kernel/reference_op.h"

namespace weft::kernel {

namespace {

// The mask is the one backend.h documents.
void Dropout(const DropoutDesc& d, const float* src, const uint64_t* keys, float* dst) {
  const int64_t sample = d.src.elements() / d.src[0];
  const float scale = 1.0f / (1.0f - d.rate);
  for (int64_t e = 0; e < sample; ++e) {
    const uint64_t seed = base::DeriveSeed(d.seed, static_cast<uint64_t>(e));
    for (int64_t n = 0; n < d.src[0]; ++n) {
      const bool keep = base::UnitUniform(base::Mix(keys[n] ^ seed)) >= d.rate;
      dst[n * sample + e] = keep ? src[n * sample + e] * scale : 0.0f;
    }
  }
}

Backend::OpResult MakeDropout(const DropoutDesc& d, const char* from, const char* to) {
  const Layout layout(d.src);
  return MakeReferenceOp(
      {TensorPort(from, Access::kRead, layout),
       BytesPort("keys", Access::kRead, static_cast<size_t>(d.src[0]) * sizeof(uint64_t)),
       TensorPort(to, Access::kWrite, layout, 0)},
      [d](const Arguments& args) {
        Dropout(d, args.in(0), args.at<const uint64_t>(1), args.out(2));
      });
}

}  // namespace

Backend::OpResult ReferenceBackend::ActivationForward(const ActivationDesc& d, const Layout& src) {
  return MakeReferenceOp(ActivationForwardPorts(src), [d, n = src.floats()](const Arguments& args) {
    const float* from = args.in(0);
    float* dst = args.out(1);
    for (size_t i = 0; i < n; ++i) dst[i] = Activate(d.activation, d.slope, from[i]);
  });
}

Backend::OpResult ReferenceBackend::ActivationBackward(const ActivationDesc& d,
                                                       const Layout& layout) {
  return MakeReferenceOp(ActivationBackwardPorts(layout),
                         [d, n = layout.floats()](const Arguments& args) {
                           const float* dst = args.in(0);
                           const float* diff_dst = args.in(1);
                           float* diff_src = args.out(2);
                           const float slope = d.activation == Activation::kRelu ? 0.0f : d.slope;
                           for (size_t i = 0; i < n; ++i) {
                             const bool whole = d.activation == Activation::kNone || dst[i] > 0;
                             diff_src[i] = whole ? diff_dst[i] : slope * diff_dst[i];
                           }
                         });
}

Backend::OpResult ReferenceBackend::Add(const Layout& layout) {
  return MakeReferenceOp(AddPorts(layout), [n = layout.floats()](const Arguments& args) {
    const float* a = args.in(0);
    const float* b = args.in(1);
    float* dst = args.out(2);
    for (size_t i = 0; i < n; ++i) dst[i] = a[i] + b[i];
  });
}

Backend::OpResult ReferenceBackend::DropoutForward(const DropoutDesc& desc) {
  return MakeDropout(desc, "src", "dst");
}

Backend::OpResult ReferenceBackend::DropoutBackward(const DropoutDesc& desc) {
  return MakeDropout(desc, "diff_dst", "diff_src");
}

Backend::OpResult ReferenceBackend::Reorder(const Layout& src, const Layout& dst) {
  if (!src.plain() || !dst.plain()) {
    return base::Unimplemented("reference: reorder: got " + src.ToString() + " to " +
                               dst.ToString() + ", want plain layouts");
  }
  return MakeReferenceOp(
      {TensorPort("src", Access::kRead, src), TensorPort("dst", Access::kWrite, dst)},
      [bytes = src.bytes()](const Arguments& args) {
        std::memcpy(args.out(1), args.in(0), bytes);
      });
}

}  // namespace weft::kernel
