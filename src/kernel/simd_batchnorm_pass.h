#pragma once
// What the passes of batch normalisation share: the cut of the work into items, their scratch
// memory, and the order in which sums, coefficients and elements are computed.

#include <cstring>

#include "kernel/function_op.h"
#include "kernel/parallel.h"
#include "kernel/simd_batchnorm_geometry.h"
#include "kernel/simd_batchnorm_loops.h"

namespace weft::kernel {

// Two sums over a part of a block, a value a lane.
struct BatchnormSums {
  double first[kMaxLanes];
  double second[kMaxLanes];
  float shift[kMaxLanes];  // forward: what was taken off src before squaring
};

// One item is a slice of the rows of one block of channels. The cut depends on shape and thread
// count alone, and sums are combined in its order.
class BatchnormWork {
 public:
  BatchnormWork(const BatchnormGeometry& geometry, int threads);

  const BatchnormGeometry& geometry() const { return geometry_; }
  size_t scratch_bytes() const {
    return static_cast<size_t>(geometry_.blocks) *
           (static_cast<size_t>(slices_) * sizeof(BatchnormSums) + sizeof(BatchnormCoefficients));
  }

  // Calls pass.Sum(block, begin, end, sums), pass.Finish(block, sums, coefficients) and
  // pass.Apply(block, begin, end, coefficients) for rows [begin, end). A block that one
  // thread has to itself is taken through all three at once, while it may still be in the cache.
  template <class Pass>
  void Run(const Pass& pass, void* scratch) const {
    auto* const coefficients = static_cast<BatchnormCoefficients*>(scratch);
    auto* const sums = reinterpret_cast<BatchnormSums*>(coefficients + geometry_.blocks);
    const auto sum = [&](int64_t item) {
      std::memset(&sums[item], 0, sizeof(BatchnormSums));
      pass.Sum(item / slices_, Begin(item % slices_), Begin(item % slices_ + 1), &sums[item]);
    };
    const auto finish = [&](int64_t block) {
      BatchnormSums* const total = &sums[block * slices_];
      for (int64_t slice = 1; slice < slices_; ++slice) Add(total[slice], total);
      std::memset(&coefficients[block], 0, sizeof(BatchnormCoefficients));
      pass.Finish(block, *total, &coefficients[block]);
    };
    const auto apply = [&](int64_t item) {
      const int64_t block = item / slices_;
      pass.Apply(block, Begin(item % slices_), Begin(item % slices_ + 1), coefficients[block]);
    };
    if (slices_ == 1) {
      ParallelItems(geometry_.blocks, threads_, [&](int64_t block) {
        sum(block);
        finish(block);
        apply(block);
      });
      return;
    }
    ParallelItems(geometry_.blocks * slices_, threads_, sum);
    for (int64_t block = 0; block < geometry_.blocks; ++block) finish(block);
    ParallelItems(geometry_.blocks * slices_, threads_, apply);
  }

 private:
  int64_t Begin(int64_t slice) const { return geometry_.rows * slice / slices_; }
  static void Add(const BatchnormSums& part, BatchnormSums* total) {
    for (int64_t lane = 0; lane < kMaxLanes; ++lane) {
      total->first[lane] += part.first[lane];
      total->second[lane] += part.second[lane];
    }
  }

  BatchnormGeometry geometry_;
  int threads_;
  int64_t slices_;
};

// The groups of a run with all their lanes: where they lie, or for a partial group a copy filled up
// with `fill` (a value a lane).
class WholeGroups {
 public:
  WholeGroups(const BatchnormGeometry& geometry, const BatchnormRun& run)
      : run_(run), width_(static_cast<size_t>(run.width)), partial_(run.width < geometry.lanes) {}

  const float* Read(const float* tensor, const float* fill, float* buffer) const {
    if (!partial_) return tensor + run_.offset;
    std::memcpy(buffer, fill, kMaxLanes * sizeof(float));
    std::memcpy(buffer, tensor + run_.offset, width_ * sizeof(float));
    return buffer;
  }
  float* Written(float* tensor, float* buffer) const {
    return partial_ ? buffer : tensor + run_.offset;
  }
  // After the loop: a partial group goes from the buffer to its place.
  void Store(const float* buffer, float* tensor) const {
    if (partial_) std::memcpy(tensor + run_.offset, buffer, width_ * sizeof(float));
  }

 private:
  const BatchnormRun& run_;
  size_t width_;
  bool partial_;
};

inline LoopExtents ExtentsOf(const BatchnormGeometry& g, const BatchnormRun& run) {
  return {run.rows, run.count, g.row_step, g.group_step, g.groups, g.lanes};
}

}  // namespace weft::kernel
