#pragma once
// MajorityVote: what several models together say of each sample.
// Source: Dietterich 2000, Ensemble Methods in Machine Learning, section 2.1 (unweighted vote).

#include <cstdint>
#include <span>
#include <vector>

namespace weft::aggregate {

// The class that most models rate highest, of each sample. Of classes with equally many votes the
// one with the highest sum of probabilities (softmax) over all models, then the lowest number. A
// model whose logits of a sample hold a NaN does not vote on it.
//   logits  [m][n * classes] f32, each model's row by row; at least one model, CHECKed
//   returns [n] class of each sample, from 0
// Threads: any.
std::vector<int32_t> MajorityVote(std::span<const std::span<const float>> logits, int64_t classes);

}  // namespace weft::aggregate
