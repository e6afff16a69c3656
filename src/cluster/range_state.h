#pragma once
// What a stretch of the flat vector is, as numbers: its parameters and the optimizer's memory of
// it. It goes from leader to leader as RangeState.values (message.h), all numbers little-endian:
//
//   0  u32  checksum    CRC32C of everything from byte 4 on
//   4  u32  moments     state vectors of the optimizer: 0, 1 or 2
//   8  u64  count       values of the range
//  16  u64  trainable   so many of them, the first, are trained; the rest are statistics
//  24  f32  parameters[count], then each moment's [trainable]

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "cluster/interval_set.h"
#include "cluster/job_spec.h"
#include "cluster/message.h"
#include "cluster/snapshot.h"

namespace weft::cluster {

// How many numbers a range has.
struct RangeShape {
  size_t count = 0;
  size_t trainable = 0;
  size_t moments = 0;
};
// Where the numbers of a range lie.
struct RangeView {
  std::span<const float> parameters;            // [count]
  std::vector<std::span<const float>> moments;  // each [trainable]
};
struct RangeValues {
  std::vector<float> parameters;            // [count]
  std::vector<std::vector<float>> moments;  // each [trainable]
  RangeView View() const;
};

// What a payload of this shape takes. RangeState.values may go on behind it (range_history.h).
size_t RangeValuesBytes(const RangeShape& shape);
Bytes EncodeRangeValues(const RangeView& values);
// Errors: kDataLoss for a payload that is damaged or not of this shape. Never allocates by what the
// payload claims.
Result<RangeValues> DecodeRangeValues(ByteView payload, const RangeShape& shape);

// The rule that a job's leaders apply updates by: the job's optimizer, or with local steps the
// outer one (Nesterov's momentum, no decay).
engine::OptimizerOptions UpdateRule(const JobSpec& spec);
RangeShape ShapeOf(const JobSpec& spec, const Range& range);
// The statistics within a range, counted from its begin. With local steps they are set to what was
// measured.
std::vector<engine::StatisticStretch> StatisticsOf(const JobSpec& spec, const Range& range);

// A range inside of the job's vector, not empty.
bool InVector(const JobSpec& spec, const Range& range);
// The part of both; its count is 0 if there is none.
Range Overlap(const Range& a, const Range& b);

// Puts a range together from stretches of it.
class RangeAssembly {
 public:
  // `spec` is read now only.
  RangeAssembly(const JobSpec& spec, const Range& range);

  struct Piece {
    Range range;  // inside of the assembly's, CHECKed
    int64_t step = 0;
    int64_t version = 0;
    int64_t optimizer_steps = 0;
    RangeView values;  // of the shape of its range, CHECKed
  };
  // A stretch that came before is replaced.
  void Add(const Piece& piece);
  bool whole() const { return covered_.size() == range_.count; }
  const Range& range() const { return range_; }
  // The numbers; step, version and the optimizer's steps are the highest of the pieces'. CHECKs
  // whole(); once.
  Snapshot Take();

 private:
  const Range range_;
  const size_t trainable_;
  IntervalSet covered_;
  Snapshot numbers_;
};

}  // namespace weft::cluster
