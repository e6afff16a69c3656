#pragma once
// ShareKeeper: the devices' shares of a batch from step to step. A share of a new size costs its
// device a new plan, so shares stay until new ones pay.
//
// New shares are taken when the slowest device would be done with its own more than 4 % earlier,
// when a device came or went, and when one that was left out has become twice as fast and can help.
// For the first reason alone they must also pay for their plans: the step that makes these is
// longer, and that must be less than what new shares save a step, times the steps that they may be
// expected to hold. They are expected to hold as long as the present ones have (Gott 1993,
// Implications of the Copernican principle for our future prospects: of what began at an unknown
// time, the median of what is to come is what has been), and at least 8 steps. Where the loss is
// steady that is when it has come to the price, as with skis that are rented until the rent has
// come to their price, which never costs more than twice the least (Karlin et al. 1988, Competitive
// snoopy caching).
//
// Whenever new shares are taken, a device whose plan takes more than 4 % of a step keeps its share
// where it would be done with it within 4 % of when the others are.
//
// Devices whose shares would differ by less than 3 % get equal ones. A device whose pace is not
// known yet is taken for the median one, or for as slow as it must be if it has not come to an end
// with what it was given. A device too slow to help gets nothing, and is asked again
// with a small share after 8 steps, then after 16 more, 32 more and so on: its pace is measured by
// what it computes, and it may have recovered.

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "plan/shares.h"

namespace weft::plan {

struct ShareKeeperOptions {
  double worth = 0.04;      // part of the step's time that new shares must save
  int64_t least_hold = 8;   // steps that they are expected to hold, at least
  double alike = 0.03;      // shares that differ by less are made equal
  int64_t least = 1;        // samples that a device is worth asking for
  int64_t ask_steps = 8;    // until a device that was left out is asked, for the first time
  int64_t ask_samples = 1;  // for so many
  double recovered = 2;     // so many times as fast as it was at its slowest
};

struct DevicePace {
  uint32_t device = 0;
  Pace pace;          // per_sample_s 0: not measured yet
  double plan_s = 0;  // that a share of a size that is new to it takes besides, once
  // If the pace was not measured: not less than this, as it has not ended what it was given.
  double least_per_sample_s = 0;
};

struct KeptShares {
  std::vector<int64_t> shares;  // one a device, in their order
  bool renewed = false;         // from now on others than before
  double finish_s = 0;          // predicted; of the slowest device
};

// Threads: one.
class ShareKeeper {
 public:
  explicit ShareKeeper(int64_t batch, ShareKeeperOptions options = {});

  // Shares of the next step, of `samples` in all: a batch, or less at the end of an epoch, in
  // proportion. `devices` that can take part, ascending, each once. If they hold less than a batch
  // together, so much less is shared.
  KeptShares Next(int64_t samples, std::span<const DevicePace> devices);

 private:
  // A device that gets nothing.
  struct LeftOut {
    int64_t ask_at;    // step
    int64_t wait;      // steps, before that
    double slowest_s;  // for ask_samples, since it was left out
  };

  std::vector<int64_t> Better(std::span<const DevicePace> devices,
                              std::span<const Pace> paces) const;
  std::vector<int64_t> KeepDear(std::span<const DevicePace> devices, std::span<const Pace> paces,
                                const std::vector<int64_t>& better) const;
  bool Pays(const std::vector<int64_t>& better, std::span<const DevicePace> devices,
            std::span<const Pace> paces) const;
  int64_t ShareOf(uint32_t device) const;
  bool SameDevices(std::span<const DevicePace> devices) const;
  bool OneRecovered(std::span<const Pace> paces, std::span<const int64_t> better);
  void Renew(const std::vector<int64_t>& shares, std::span<const Pace> paces);
  void AskAgain(std::vector<int64_t>* shares);

  int64_t batch_;
  ShareKeeperOptions options_;
  int64_t step_ = 0;
  int64_t renewed_at_ = 0;         // step
  std::vector<uint32_t> devices_;  // of the shares, ascending
  std::vector<int64_t> shares_;    // of a batch
  std::unordered_map<uint32_t, LeftOut> left_out_;
};

}  // namespace weft::plan
