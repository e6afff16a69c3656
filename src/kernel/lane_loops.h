#pragma once
// Loops over images with samples as lanes (lane_layout.h), one block of 16 samples at a time.
// Highway picks the instructions at run time. Below, `block` is kSampleLanes floats: one number of
// each sample.

#include <cstdint>

namespace weft::kernel {

struct LaneImage {
  int64_t channels = 0, height = 0, width = 0;

  int64_t plane() const { return height * width; }
  int64_t blocks() const { return channels * plane(); }
};

// dst[o][y][x] = sum over i, r, s of src[i][y * stride - pad + r][...] * weights[o][i][r][s].
struct LaneConv {
  LaneImage src, dst;
  int64_t kernel_height = 0, kernel_width = 0;
  int64_t stride_height = 1, stride_width = 1;
  int64_t pad_top = 0, pad_left = 0;  // may be negative: rows and columns cut off

  int64_t taps() const { return src.channels * kernel_height * kernel_width; }
  int64_t weights() const { return dst.channels * taps(); }
};

struct LaneRange {
  int64_t begin = 0, end = 0;

  int64_t size() const { return end - begin; }
};

// Cuts [0, n) into nearly equal pieces of at most `most`; calls run(LaneRange).
template <class Run>
void ForLanePieces(int64_t n, int64_t most, const Run& run) {
  const int64_t pieces = (n + most - 1) / most;
  for (int64_t i = 0; i < pieces; ++i) run(LaneRange{n * i / pieces, n * (i + 1) / pieces});
}

// Output channels that LaneForward takes together at most: its weights are cut into pieces of so
// many (ForLanePieces), each piece lying as [tap][output channel of the piece].
int64_t LaneOutTile();

// One row of dst for one block of samples.
//   src      [in][height][width] blocks
//   weights  cut as LaneOutTile says
//   bias     [out], or null
//   dst      [out][height][width] blocks; row `y` is written
// `slope` multiplies negative results: 1 for none, 0 for relu. Lanes from `samples` on become zero.
struct LaneRow {
  int64_t y = 0;
  int64_t samples = 0;
  float slope = 1;
};
void LaneForward(const LaneConv& conv, const LaneRow& row, const float* src, const float* weights,
                 const float* bias, float* dst);

// Adds one block of samples, each lane apart:
//   weight_sums  [out][in][kernel_height][kernel_width] blocks
//   bias_sums    [out] blocks, or null
void LaneGradient(const LaneConv& conv, const float* src, const float* diff_dst, float* weight_sums,
                  float* bias_sums);

// to[i] = the sum of all lanes of block i, over `parts` arrays of blocks `part_floats` apart.
struct LaneTotals {
  int64_t count = 0;
  int64_t parts = 1, part_floats = 0;
};
void LaneSum(const LaneTotals& totals, const float* from, float* to);

// Between plain samples of `floats` numbers each and one block of them. Lanes from `samples` on
// become zero in ToLanes and are not read in FromLanes.
void ToLanes(int64_t samples, int64_t floats, const float* plain, float* lanes);
void FromLanes(int64_t samples, int64_t floats, const float* lanes, float* plain);

}  // namespace weft::kernel
