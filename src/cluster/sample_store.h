#pragma once
// SampleStore: hands samples to devices that do not hold the data set. It stands in the
// coordinator's process and says what to read; its host reads (a thread of its own) and says when
// that is done.
//
// Devices take turns, a request each, so one that asks for much does not hold up the others.

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cluster/action.h"
#include "cluster/message.h"

namespace weft::cluster {

// Threads: one.
class SampleStore {
 public:
  static constexpr Address kAddress = {kCoordinatorDevice, Role::kStore};

  struct Options {
    uint64_t term = 0;         // the coordinator's
    int64_t samples = 0;       // of the data set
    int64_t sample_bytes = 1;  // of one in a packet
    // Requests being read at one time: the next is read while one is sent.
    size_t most_reading = 2;
    // Requests of one device that wait; more are refused (samples with a problem).
    size_t most_waiting = 8;
  };
  explicit SampleStore(const Options& options) : options_(options) {}

  // A request that is waiting or being read already, or of another term, is ignored; one for too
  // much (sample_cache.h), for nothing or for an index out of range is refused.
  Actions Handle(TimePoint now, Address from, const Message& message);
  // The action ReadSamples is done; `values` (a sample packet) is not read if it failed.
  Actions OnRead(TimePoint now, const ReadSamples& read, const Status& status, Payload values);
  // The device is gone: what it asked for is not read any more.
  void Forget(DeviceId device);

 private:
  Status Check(const AskSamples& ask) const;
  bool IsKnown(DeviceId device, uint64_t request) const;
  void Answer(Address to, Samples samples);
  void ReadNext();

  const Options options_;
  std::map<DeviceId, std::deque<ReadSamples>> waiting_;  // no empty queues
  std::deque<ReadSamples> reading_;
  DeviceId last_ = 0;  // whose turn it was
  Actions actions_;
};

}  // namespace weft::cluster
