#pragma once
// SiteRelay: adds up the updates of the devices of a site, so that one sum of a step crosses the
// slow link and not each of them, and hands the parameters that it fetches to all.
//
// It holds nothing that counts: the workers keep their updates until the range's leader has
// acknowledged them, which it does to each by itself. A sum leaves when all leases of the step that
// are at the site are in it, or when those that are missing are late: then they follow by
// themselves. What may have got lost on the way the workers are asked to push to the leader
// themselves, as they do when the relay is gone; the leader takes no update twice, however it
// comes. Source of the idea: Kielmann et al. 1999, MagPIe (collective operations over wide areas).

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cluster/action.h"
#include "cluster/job_spec.h"
#include "cluster/message.h"
#include "codec/codec.h"

namespace weft::cluster {

// Threads: one. Handle decodes and adds up.
class SiteRelay {
 public:
  // Of one sum; what is more makes another one.
  static constexpr size_t kMostUpdates = 1024;
  // What is missing is late after so many times what the step before took from the first of its
  // updates to the last; between these bounds.
  static constexpr double kPatience = 3;
  static constexpr Duration kLeastPatience = std::chrono::milliseconds(50);
  static constexpr Duration kMostPatience = std::chrono::seconds(2);

  // Errors: kInvalidArgument for an unknown codec.
  static Result<std::unique_ptr<SiteRelay>> Make(const JobSpec& spec, Address self);

  Actions Handle(TimePoint now, Address from, const Message& message);
  // A way to this device (0: to the coordinator's process) is gone; what went over it may be lost.
  Actions OnLost(TimePoint now, DeviceId device);

  std::optional<TimePoint> NextWake() const;
  Actions Tick(TimePoint now);

  Address address() const { return self_; }

 private:
  // Of one range, in one step.
  struct Sum {
    int64_t step = -1;
    std::vector<Push> updates;  // without their gradients
    int64_t samples = 0;
    std::vector<float> values;  // [range.count] sum of samples * gradient
    TimePoint first;            // when it came
    TimePoint last;
    bool sent = false;  // once already: what still comes goes on at once
  };
  struct Fetch {
    std::map<Address, Pull> waiting;
    std::optional<Pull> asked;  // of the leader
    std::optional<Parameters> newest;
  };

  SiteRelay(Address self, uint64_t run, std::unique_ptr<codec::Codec> up,
            std::unique_ptr<codec::Codec> dense);

  void On(TimePoint now, Address from, const UseRelay& use);
  void On(TimePoint now, Address from, const Relayout& relayout);
  void On(TimePoint now, Address from, const Push& push);
  void On(TimePoint now, Address from, const Pull& pull);
  void On(TimePoint now, Address from, const Parameters& parameters);
  template <class Other>
  void On(TimePoint now, Address from, const Other& other);

  void AdoptTerm(uint64_t term);
  const Layout::Part* PartOf(const Range& range) const;
  bool Serves(Address worker, const Range& range) const;
  bool Add(TimePoint now, const Push& push, Sum* sum);
  bool IsComplete(const Sum& sum) const;
  void Send(const Range& range, Sum* sum);
  void PushAgainTo(const Push& push);
  void Forget(const Range& range);
  Pull PullFor(const Fetch& fetch) const;
  void Ask(const Range& range, Fetch* fetch);
  void SendTo(Address to, Message message) {
    actions_.push_back(cluster::Send{to, std::move(message)});
  }
  Actions Take() { return std::exchange(actions_, {}); }

  const Address self_;
  const uint64_t run_;  // RunTag
  const std::unique_ptr<codec::Codec> up_;
  const std::unique_ptr<codec::Codec> dense_;
  uint64_t term_ = 0;
  UseRelay site_;
  Layout layout_;
  std::map<Range, Sum> sums_;
  std::map<Range, std::vector<Push>> gone_;  // of each range's newest step: what was sent on
  std::map<Range, Fetch> fetches_;
  Duration patience_ = kMostPatience;
  std::vector<float> scratch_;
  Actions actions_;
};

}  // namespace weft::cluster
