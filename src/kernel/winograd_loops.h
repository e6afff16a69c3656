#pragma once
// The inner loops of the Winograd convolutions: 3x3, stride 1, on images and weights blocked by
// channels. Compiled for every instruction set Highway knows and chosen at run time.
//
// A tile of kTile x kTile outputs (kTile 2 or 4) needs (kTile + 2)^2 multiplications a pair of
// channels instead of 9 kTile^2. Input patches, kernels and, for the gradient of the weights, tiles
// of the output gradient are brought to kTile + 2 points an axis; at each point a matrix product
// sums over the channels (or tiles); the sums are brought back.
//
// Source: Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks". The points are
// 0, 1, -1, infinity for tiles of 2 and, unlike there, 0, +-sqrt(1/2), +-sqrt(2), infinity for
// tiles of 4: their condition is better, the error half as large (compare Barabasz et al. 2020,
// "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks").
//
// Transformed numbers lie as [point][vector of channels][item][lane]; an item is a tile or, for
// weights, an input channel. Threads: any; a call writes only its own range.

#include <cstdint>

namespace weft::kernel {

// Tiles over a batch of output images, numbered row major: image, tile row, tile column.
struct WinogradGrid {
  int tile = 4;  // outputs an axis: 2 or 4
  int64_t rows = 0, cols = 0;
  int64_t batch = 0;

  int64_t tiles() const { return batch * rows * cols; }
  int side() const { return tile + 2; }
  int points() const { return side() * side(); }
};

// [image][channels / block][height][width][block] floats.
struct BlockedImage {
  int64_t block = 0;  // 8 or 16
  int64_t channels = 0, height = 0, width = 0;
};

// [out / block][in / block][3 * 3][block of in][block of out] floats.
struct BlockedWeights {
  int64_t block = 0;
  int64_t out = 0, in = 0;
};

// Distances, in floats.
struct WinogradStrides {
  int64_t point = 0, vector = 0;
};

struct WinogradRange {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

// Channels of a vector, for images of that block. Divides `block`.
int64_t WinogradLanes(int64_t block);
// Columns of vectors that the products take at once.
int64_t WinogradColumns();

// The patches of `tiles` under a padding, transformed: v[point][vector][tile - tiles.begin][lane]
// for the `vectors` of src's channels.
struct WinogradPatches {
  WinogradGrid grid;
  BlockedImage image;  // read
  int64_t pad_top = 0, pad_left = 0;
  WinogradRange vectors;
  WinogradRange tiles;
  WinogradStrides to;
};
void WinogradInput(const WinogradPatches& patches, const float* src, float* v);

// Tiles of the output gradient, transformed; the padding is not used.
void WinogradDiff(const WinogradPatches& patches, const float* diff_dst, float* y);

// u[point][vector - vectors.begin][in][lane], where the lanes are output channels; or, `transposed`
// and turned by 180 degrees, where they are input channels and the items output channels.
struct WinogradKernels {
  int tile = 4;
  BlockedWeights shape;
  bool transposed = false;
  WinogradRange vectors;
  WinogradStrides to;
};
void WinogradWeights(const WinogradKernels& kernels, const float* weights, float* u);

// m[point][out vector][tile][lane] = sum over channels c of u[point][out vector][c][lane] *
// v[point][vector of c][tile][lane of c].
struct WinogradProduct {
  int64_t block = 0;  // of the images
  int points = 0;
  int64_t tiles = 0;
  int64_t in_vectors = 0, out_vectors = 0;
  WinogradStrides v, u, m;
};
void WinogradMultiply(const WinogradProduct& product, const float* v, const float* u, float* m);

// Transforms the sums back, adds the bias, applies the activation (x > 0 ? x : slope x) and writes
// the images' tiles: the lane vectors `vectors` of dst's channels from m[point][vector -
// vectors.begin][tile - tiles.begin].
struct WinogradResult {
  WinogradGrid grid;
  BlockedImage image;  // written
  WinogradRange vectors;
  WinogradRange tiles;
  WinogradStrides from;
  float slope = 1;  // 1: no activation
};
void WinogradOutput(const WinogradResult& result, const float* m, const float* bias, float* dst);

// d[point][out vector][channel c][lane] (+)= sum over tiles of y[point][out vector][tile][lane] *
// v[point][vector of c][tile][lane of c], for `out_vectors` vectors that begin at y and d.
struct WinogradGradientProduct {
  int64_t block = 0;
  int points = 0;
  int64_t tiles = 0;
  int64_t in_vectors = 0, out_vectors = 0;
  bool add = false;  // to what d holds
  WinogradStrides v, y, d;
};
void WinogradMultiplyGradient(const WinogradGradientProduct& product, const float* v,
                              const float* y, float* d);

// Transforms the sums of the gradient back, for the output channels of kernels.vectors, from
// d[point][vector - vectors.begin][in][lane].
void WinogradWeightsGradient(const WinogradKernels& kernels, const float* d, float* diff_weights);

// sums[channel] = sum of diff_dst over the batch's images and their pixels, for the `vectors`.
void WinogradBiasGradient(const BlockedImage& image, int64_t batch, const WinogradRange& vectors,
                          const float* diff_dst, float* sums);

}  // namespace weft::kernel
