#pragma once
// LaneBackend: convolutions of few channels on images with samples as lanes (lane_layout.h), and
// the reorders to and from that layout. It takes a convolution by its shape and the layout that
// arrives, never by measured time:
//   - no groups, and a batch that leaves at most a quarter of the lanes empty;
//   - up to kMostChannels in and out (with more, the rows that a tile reads no longer stay in the
//     cache), fewer than that on one side at least, and a window of at least kLeastWindow pixels;
//   - forward: src has lanes already, or it is plain and neither side has more than
//     kMostPlainChannels (oneDNN has good code for plain src and a block of channels);
//   - backward: diff_dst has lanes. The data gradient wants stride 1.
// Results are bit-equal for equal numbers of threads: weight gradients are summed over the samples
// of a thread, then over the threads in order.

#include <memory>

#include "kernel/partial_backend.h"

namespace weft::kernel {

class LaneBackend : public PartialBackend {
 public:
  static constexpr int64_t kMostChannels = 16;
  static constexpr int64_t kLeastWindow = 9;
  static constexpr int64_t kMostPlainChannels = 8;

  // `other` makes the reorders between plain and the layouts of other backends.
  LaneBackend(const BackendOptions& options, std::unique_ptr<Backend> other)
      : threads_(options.threads), other_(std::move(other)) {}

  std::string name() const override { return "lanes"; }

  OpResult ConvForward(const ConvDesc& desc, const Layout& src) override;
  OpResult ConvBackwardData(const ConvDesc& desc, const Layout& diff_dst,
                            const Layout& src) override;
  OpResult ConvBackwardWeights(const ConvDesc& desc, const Layout& src, const Layout& diff_dst,
                               const Layout& weights) override;
  OpResult Reorder(const Layout& src, const Layout& dst) override;

 private:
  int threads_;
  std::unique_ptr<Backend> other_;
};

}  // namespace weft::kernel
