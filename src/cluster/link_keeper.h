#pragma once
// LinkKeeper: what each device's link is asked to carry, where the job leaves that to weft
// (codec "auto"): how many local steps all make between two updates, how much of its update each
// sends, and how much of the changes the leaders send back.
//
// A step waits for its slowest link, so all make as many local steps as the poorest one asks for
// (plan/link_plan.h); with so many, each sends as much as its own link carries. What the leaders
// send is the same for all: as much as the poorest link gets through.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/job_spec.h"
#include "cluster/message.h"
#include "codec/codec.h"
#include "plan/link_plan.h"

namespace weft::cluster {

struct LinkKeeperOptions {
  bool up = false;    // chooses for updates
  bool down = false;  // chooses for parameters
  plan::LinkLimits limits;
  int64_t values = 0;  // of the vector
  std::vector<codec::Tensor> tensors;
  double down_bytes = 0;  // of an answer, where it does not choose them
};

// What a job leaves to weft of its links.
LinkKeeperOptions LinkOptionsOf(const JobSpec& spec);

// Threads: one.
class LinkKeeper {
 public:
  explicit LinkKeeper(LinkKeeperOptions options) : options_(std::move(options)) {}

  struct Member {
    DeviceId device = 0;
    double step_seconds = 0;  // to compute its share of a batch; 0: not known
    plan::LinkProfile link;
  };
  // Before a step. True if a choice is another one than before.
  bool Update(std::span<const Member> members);

  bool active() const { return options_.up || options_.down; }
  // All send all, every step.
  bool is_dense() const;
  // What that is predicted to take of the member's computing, of all the most; 0: not known.
  double DenseShare(std::span<const Member> members) const;
  double budget() const { return options_.limits.budget; }
  int64_t local_steps() const { return local_steps_; }
  // Nothing where the job says it.
  std::optional<codec::Target> UpOf(DeviceId device) const;
  std::optional<codec::Target> down() const;
  // What the poorest link carries, for people.
  const std::string& words() const { return words_; }
  // How many devices send all as fp32, and how many there are.
  struct Count {
    int64_t dense = 0;
    int64_t all = 0;
    bool operator==(const Count&) const = default;
  };
  Count count() const;

 private:
  plan::LinkLoad LoadOf(const Member& member, int64_t local_steps) const;

  LinkKeeperOptions options_;
  int64_t local_steps_ = 1;
  std::map<DeviceId, plan::LinkChoice> alone_;   // as if there were no others
  std::map<DeviceId, plan::LinkChoice> chosen_;  // with local_steps_
  codec::Target down_;
  std::string words_;
};

}  // namespace weft::cluster
