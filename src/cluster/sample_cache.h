#pragma once
// SampleCache: knows which samples a device holds of what the store feeds it, and what to ask for.
// Indices only: the bytes are the host's (data/fed_dataset.h).
//
//   absent -> asked -> held -> absent (dropped when room is needed, least recently used first)
//
// Samples of a lease that was wanted are pinned until it is done, so they stay once they are here.
// Samples asked for ahead are not: they make room for what is wanted.

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "cluster/message.h"

namespace weft::cluster {

// A request is for at most so many bytes (but one sample at least) and so many samples.
inline constexpr int64_t kMostRequestBytes = 4 << 20;
inline constexpr int64_t kMostRequestSamples = 4096;
// Requests of a device that the store may have at one time: one on its way while the next is read.
inline constexpr size_t kMostRequests = 2;

struct SampleCacheOptions {
  int64_t budget_bytes = 0;  // of samples held; 0: no limit
  int64_t sample_bytes = 1;  // of one sample in a packet
  // The samples of a lease: a pure function.
  std::function<std::vector<int64_t>(const Lease&)> indices;
};

// One for each data set that the host begins (action OpenRun). Threads: one.
class SampleCache {
 public:
  explicit SampleCache(SampleCacheOptions options);

  // What is asked from now on bears this term.
  void SetTerm(uint64_t term) { term_ = term; }

  // The lease will be computed: pins its samples until Done, and returns what to ask the store
  // now. More may follow from OnSamples and Done: only kMostRequests are out at a time, and a lease
  // that does not fit beside those wanted before it waits for them. A lease wanted already asks for
  // nothing. Errors: kResourceExhausted if the budget cannot hold this lease even alone (says how
  // much it takes): give it back.
  Result<std::vector<AskSamples>> Want(const Lease& lease);
  // The lease will perhaps be wanted: asks for as much of it as fits beside what is wanted.
  std::vector<AskSamples> Ahead(const Lease& lease);
  // All of a wanted lease's samples are held.
  bool Has(const Lease& lease) const;
  // The lease is computed, given back or over; one that is not wanted is ignored. Returns what to
  // ask now for those that waited.
  std::vector<AskSamples> Done(const Lease& lease);

  struct Got {
    bool wanted = false;           // false: nobody asked for this (any more), forget it
    std::vector<int64_t> kept;     // the packet's samples, in its order: keep them, and then
    std::vector<int64_t> dropped;  // forget these
    std::vector<AskSamples> ask;
    std::vector<Lease> failed;  // wanted ones that the store cannot read: give them back
  };
  Got OnSamples(const Samples& samples);

  // What was asked and has not come, to ask again after a reconnect, under the term set last.
  std::vector<AskSamples> AskAgain();

  // Of the samples held.
  int64_t bytes() const { return held_ * options_.sample_bytes; }

 private:
  struct Entry {
    bool held = false;
    int pins = 0;                          // wanted leases that have it
    std::list<int64_t>::iterator place{};  // in idle_, if held without pins
  };
  struct Wanted {
    Lease lease;
    std::vector<int64_t> indices;
    bool pinned = false;  // false: it waits for room
  };

  int64_t capacity() const;  // in samples
  const Wanted* Find(const Lease& lease) const;
  bool FitsBeside(const std::vector<int64_t>& indices) const;
  void PinWhatFits();
  void Pin(const std::vector<int64_t>& indices);
  void Unpin(const std::vector<int64_t>& indices);
  void Ask(std::vector<int64_t> indices);
  void ForgetWaitingAhead();
  std::vector<AskSamples> TakeAsks();
  void Keep(const std::vector<int64_t>& indices);
  std::vector<int64_t> MakeRoom();
  std::vector<Lease> Fail(const std::vector<int64_t>& indices);

  const SampleCacheOptions options_;
  uint64_t term_ = 0;
  uint64_t next_request_ = 1;
  std::unordered_map<int64_t, Entry> entries_;  // asked or held, by index
  std::list<int64_t> idle_;                     // held without pins, least recently used first
  int64_t held_ = 0;
  int64_t pinned_ = 0;                  // entries with pins
  std::deque<Wanted> wanted_;           // in the order in which they came
  std::map<uint64_t, AskSamples> out_;  // asked, not come, by request
  std::deque<AskSamples> waiting_;      // to be asked when another has come
};

}  // namespace weft::cluster
