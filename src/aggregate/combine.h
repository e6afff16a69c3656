#pragma once
// Ways to join vectors of one size, whole models or gradients, into one. All work coordinate by
// coordinate; Average and WeightedAverage are what linear averaging of models means, Median and
// TrimmedMean bear with some of the vectors being anything at all.
// Source of the last two: Yin et al. 2018, Byzantine-Robust Distributed Learning, definitions 1, 2.
// In each function:
//   vectors  [m][n] f32  read; at least one, CHECKed
//   out      [n] f32     written; none of the vectors
// Threads: any.

#include <span>
#include <vector>

namespace weft::aggregate {

using Vectors = std::span<const std::span<const float>>;

// Sum over i of vectors_i / m.
void Average(Vectors vectors, std::span<float> out);

// Sum over i of weights_i * vectors_i / sum of weights.
//   weights  [m]  of samples, say; none below 0, their sum above 0: CHECKed
void WeightedAverage(Vectors vectors, std::span<const double> weights, std::span<float> out);

// The middle value of each coordinate, of an even number the mean of the two in the middle. A NaN
// counts as larger than everything.
void Median(Vectors vectors, std::span<float> out);

// The mean of each coordinate without its floor(trim * m) lowest and as many highest values, `trim`
// in [0, 0.5), CHECKed. Bears with trim * m arbitrary vectors. A NaN counts as larger than
// everything.
void TrimmedMean(Vectors vectors, double trim, std::span<float> out);

}  // namespace weft::aggregate
