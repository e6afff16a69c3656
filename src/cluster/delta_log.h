#pragma once
// DeltaLog: what the workers of a leader hold of its range, and the packets that took it there. The
// parameters themselves are ahead of it by what the codec has left out so far, which is in the next
// difference again: error feedback, without a residual beside.
// Source: Koloskova et al. 2019, Decentralized stochastic optimization and gossip algorithms with
// compressed communication, algorithm 2: what is sent is Q(x - x^), and x^ moves by it at both
// ends.
//
// Deltas travel one after another, each as (all numbers little-endian):
//
//   0  u32  bytes     of the packet
//   4  u32  versions  that it goes on by, from 1
//   8  ...  packet    of the codec; its place: the range's begin, the run, the version it is added
//   to

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cluster/message.h"
#include "codec/codec.h"

namespace weft::cluster {

// The codec of whole ranges, where `down` is that of the parameters: "dense" if it keeps
// differences. Errors: kInvalidArgument, as MakeCodec.
Result<std::unique_ptr<codec::Codec>> MakeWholeCodec(const codec::CodecOptions& down);

// Threads: one.
class DeltaLog {
 public:
  // Deltas that are kept, and that one answer has, at most.
  static constexpr size_t kMostDeltas = 1024;

  struct Options {
    // Unlike that of any other log of the run, as the same version of another one may have other
    // bits.
    uint64_t number = 0;
    Range range;
    uint64_t run = 0;        // RunTag
    size_t whole_bytes = 0;  // of the range; deltas are kept while together they are fewer
  };
  // Begins with workers that hold this version as it is.
  DeltaLog(std::unique_ptr<codec::Codec> codec, const Options& options, int64_t version,
           std::span<const float> parameters);

  // Comes to a version, unless it is there already. A delta that saves nothing, or that the codec
  // refuses, is not made: then the parameters themselves are what workers are to hold.
  //   parameters  [n] f32  read: of that version
  //   scratch     [n] f32  overwritten
  void CatchUp(int64_t version, std::span<const float> parameters, std::span<float> scratch);

  // What the next deltas leave out, where the codec can be told.
  void Aim(const codec::Target& target) { codec_->Aim(target); }

  uint64_t number() const { return options_.number; }
  int64_t version() const { return version_; }
  // [n], of version(): the same bits as at workers. Valid until the next CatchUp.
  std::span<const float> held() const { return held_; }
  // What takes base to version(); null if that is the same. Nothing: the log does not reach back.
  std::optional<Payload> Since(int64_t base);

 private:
  struct Delta {
    int64_t base = 0;
    Payload packet;  // with its head
  };
  // Null if it saves nothing. Else `difference` becomes what it decodes to.
  Payload Encode(int64_t versions, std::span<float> difference) const;
  void Keep(Delta delta);
  void Forget();

  const std::unique_ptr<codec::Codec> codec_;
  const Options options_;
  int64_t version_;
  std::vector<float> held_;    // [n]
  std::deque<Delta> deltas_;   // the last one takes its base to version_
  size_t bytes_ = 0;           // of them
  int64_t joined_since_ = -1;  // the last answer of more than one delta
  Payload joined_;
};

// Adds deltas from `from.base` to `version`, of a leader whose log has this codec.
//   values   [n] f32  read and written: of version from.base, then of `version`
//   scratch  [n] f32  overwritten
// Errors: kDataLoss for deltas that are damaged or do not lead from the one to the other; `values`
// is then unspecified.
Status AddDeltas(const codec::Codec& codec, const codec::Place& from, int64_t version,
                 ByteView deltas, std::span<float> values, std::span<float> scratch);

// How many there are; of damaged ones, up to the damage.
int64_t CountDeltas(ByteView deltas);

}  // namespace weft::cluster
