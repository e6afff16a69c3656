#pragma once
// Selectors: the strategies by which the sparse update picks values. UpdateWriter asks them chunk
// by chunk.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "codec/pieces.h"
#include "codec/select_quantile.h"
#include "codec/select_top.h"

namespace weft::codec {

// Threads: one.
class Selector {
 public:
  virtual ~Selector() = default;
  // Before the chunks of a piece, whose sums are still to be made.
  virtual void Begin(const Piece&, const Sums&) {}
  // Fills `positions` for the next chunk, which holds sums.
  virtual void Select(std::span<const float> chunk, std::vector<uint16_t>* positions) = 0;
};

// density * count, rounded up; at most all.
size_t ShareOf(double density, size_t count);

// The largest of each chunk.
class SelectChunkTop : public Selector {
 public:
  SelectChunkTop(double density, TopSelector* top) : density_(density), top_(top) {}
  void Select(std::span<const float> chunk, std::vector<uint16_t>* positions) override;

 private:
  double density_;
  TopSelector* top_;
};

// What is above a threshold of the piece.
class SelectAboveQuantile : public Selector {
 public:
  // Of the last update, by where the piece begins in the flat vector.
  using Thresholds = std::map<int64_t, float>;

  //   sample  [kSampleValues] scratch
  SelectAboveQuantile(double density, int64_t range_begin, Thresholds* thresholds,
                      std::span<float> sample)
      : density_(density), range_begin_(range_begin), last_(thresholds), sample_(sample) {}
  void Begin(const Piece& piece, const Sums& sums) override;
  void Select(std::span<const float> chunk, std::vector<uint16_t>* positions) override;

 private:
  double density_;
  int64_t range_begin_;
  Thresholds* last_;
  std::span<float> sample_;
  float threshold_ = 0;
};

}  // namespace weft::codec
