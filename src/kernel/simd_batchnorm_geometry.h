#pragma once
// BatchnormGeometry: plain and channel-blocked images seen as one form, so that one set of loops
// serves all. A tensor is cut into blocks of channels; a block is `rows` rows of `groups` groups; a
// group is `lanes` floats side by side:
//   nChw8c, nChw16c  a row is a sample, a group one pixel of 8 or 16 channels; padded channels are
//                    lanes too
//   samples as lanes (lane_layout.h) a block is one channel, a row 16 samples, a group one pixel
//   plain            a block is one channel, a row a sample, a group 8 pixels, the last of a row
//                    perhaps fewer
//   plain features   a group is 8 channels of one sample, in the last block perhaps fewer
// Where a sample is a single pixel, a block is one row and the samples are its groups.

#include <algorithm>
#include <cstdint>

#include "kernel/lane_layout.h"
#include "tensor/shape.h"

namespace weft::kernel {

inline constexpr int64_t kMaxLanes = 16;

// Groups that the loops take at once: `rows` rows, `count` of each.
struct BatchnormRun {
  int64_t offset = 0;  // of the first float
  int64_t group = 0;   // running number of the first group, for the mask
  int64_t rows = 1, count = 1;
  int64_t width = 0;  // floats of each group: `lanes`, or fewer if rows and count are 1
};

struct BatchnormGeometry {
  int64_t channels = 0;
  int64_t blocks = 0, rows = 0, groups = 0, lanes = 0;
  int64_t block_step = 0, row_step = 0, group_step = 0;  // floats between neighbours
  bool planes = false;  // all lanes of a block are pixels of one channel

  // `channel_block`: 8 or 16 for nChw8c and nChw16c; 0 for plain.
  BatchnormGeometry(const tensor::Shape& src, int64_t channel_block);
  // Of samples as lanes, all of them filled.
  static BatchnormGeometry OfLanes(const tensor::Shape& src);

  double pixels_per_channel() const { return pixels_per_channel_; }
  int64_t all_groups() const { return blocks * rows * groups; }
  // Groups of a row of `block` that have all their lanes; those after them have tail() floats.
  int64_t whole_groups(int64_t block) const {
    if (tail_ == 0) return groups;
    if (planes) return groups - 1;
    return block == blocks - 1 ? 0 : groups;
  }
  int64_t tail() const { return tail_; }

  // Calls body(BatchnormRun) for all groups of the rows [begin, end) of `block`. Runs are short,
  // so that sums over one may be kept in floats.
  template <class Body>
  void ForEachRun(int64_t block, int64_t begin, int64_t end, const Body& body) const {
    const int64_t whole = whole_groups(block);
    const int64_t together = whole == 0 ? 1 : std::max<int64_t>(1, kRun / whole);  // rows
    for (int64_t row = begin; row < end; row += together) {
      const int64_t count = std::min(together, end - row);
      for (int64_t i = 0; i < whole; i += kRun) {
        body(RunAt(block, row, i, count, std::min(kRun, whole - i), lanes));
      }
      for (int64_t r = row; r < row + count; ++r) {
        for (int64_t i = whole; i < groups; ++i) body(RunAt(block, r, i, 1, 1, tail_));
      }
    }
  }

  // Calls body(channel, first lane, lane after its last) for the real channels of `block`.
  template <class Body>
  void ForEachChannel(int64_t block, const Body& body) const {
    if (planes) {
      body(block, int64_t{0}, lanes);
      return;
    }
    const int64_t first = block * lanes;
    for (int64_t c = first; c < std::min(channels, first + lanes); ++c) {
      body(c, c - first, c - first + 1);
    }
  }

 private:
  static constexpr int64_t kRun = 128;  // groups

  BatchnormRun RunAt(int64_t block, int64_t row, int64_t i, int64_t row_count, int64_t count,
                     int64_t width) const {
    return {block * block_step + row * row_step + i * group_step, (block * rows + row) * groups + i,
            row_count, count, width};
  }

  double pixels_per_channel_;
  int64_t tail_ = 0;
};

}  // namespace weft::kernel
