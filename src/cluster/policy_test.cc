#include "cluster/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/rng.h"

namespace weft::cluster {
namespace {

using aggregate::Mode;
using testing::HasSubstr;

constexpr int64_t kShare = 100;
constexpr double kLeaseSeconds = 1;  // that a device's pace says

struct ClusterOptions {
  int devices = 16;
  // A lease's seconds.
  std::function<double(base::Rng*)> lease = [](base::Rng* rng) {
    return rng->NextUniform(0.98, 1.02);
  };
  double async_epochs = 1.5;  // the truth
  double loss_noise = 0.005;
  RoundTimes::Communication communication;
};

// A cluster that does as the policy says: leases take what `lease` draws, and the loss falls with
// the logarithm of the samples, of which those of async count less.
class Cluster {
 public:
  Cluster(Mode mode, uint64_t seed, ClusterOptions options, PolicyOptions policy = {})
      : policy_(mode, policy), rng_(seed), options_(std::move(options)) {
    for (int i = 1; i <= options_.devices; ++i)
      devices_.push_back({static_cast<DeviceId>(i),
                          "pi-" + std::to_string(i),
                          {0, kLeaseSeconds / kShare},
                          kShare});
  }

  PolicyAnswer Round() {
    double slowest_s = 0;
    for (const RoundDevice& device : devices_) {
      const double seconds = options_.lease(&rng_);
      policy_.times()->LeaseTook(device.device, kShare, seconds);
      slowest_s = std::max(slowest_s, seconds);
      mean_s_ += 0.1 * (seconds - mean_s_);
    }
    const bool sync = policy_.mode() == Mode::kSync;
    const double round_s = sync ? slowest_s + options_.communication.sync_s
                                : std::max(mean_s_, options_.communication.async_s);
    seconds_ += round_s;
    policy_.RoundTook(round_s);
    const int64_t batch = kShare * options_.devices;
    samples_ += batch;
    progress_ += static_cast<double>(batch) / (sync ? 1 : options_.async_epochs);
    const double loss = 5.3 - 0.3 * std::log(progress_) + options_.loss_noise * rng_.NextNormal();
    policy_.LossMeasured(samples_, loss);
    return policy_.Evaluate({devices_, options_.communication, 1'000'000});
  }

  // After so many rounds. Counts the switches, and sees that none follows another too soon.
  PolicyAnswer Rounds(int count) {
    PolicyAnswer answer;
    for (int round = 0; round < count; ++round) {
      answer = Round();
      ++since_switch_;
      if (!answer.switched) continue;
      EXPECT_GE(since_switch_, 5);
      since_switch_ = 0;
      ++switches_;
    }
    return answer;
  }

  // Until the loss, without its noise, is 1.5.
  double SecondsToTheEnd() {
    while (5.3 - 0.3 * std::log(std::max(progress_, 1.0)) > 1.5) Round();
    return seconds_;
  }

  int switches() const { return switches_; }
  ClusterOptions* options() { return &options_; }

 private:
  Policy policy_;
  base::Rng rng_;
  ClusterOptions options_;
  std::vector<RoundDevice> devices_;
  double mean_s_ = 1;
  int64_t samples_ = 0;
  double progress_ = 0;
  double seconds_ = 0;
  int since_switch_ = 0;
  int switches_ = 0;
};

double HeavyTail(base::Rng* rng) { return rng->NextBelow(10) == 0 ? 8 : 0.9; }

TEST(Policy, EqualSteadyDevicesAreSync) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Cluster sync(Mode::kSync, seed, {});
    EXPECT_EQ(sync.Rounds(60).mode, Mode::kSync);
    EXPECT_EQ(sync.switches(), 0);
    Cluster async(Mode::kAsync, seed, {});
    EXPECT_EQ(async.Rounds(60).mode, Mode::kSync);
    EXPECT_EQ(async.switches(), 1);
  }
}

TEST(Policy, HeavyTailsAreAsync) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Cluster cluster(Mode::kSync, seed, {.lease = HeavyTail});
    EXPECT_EQ(cluster.Rounds(60).mode, Mode::kAsync);
    EXPECT_EQ(cluster.switches(), 1);
  }
}

TEST(Policy, AFullLinkIsAsync) {
  Cluster cluster(Mode::kSync, 1, {.communication = {.sync_s = 4, .async_s = 2}});
  const PolicyAnswer answer = cluster.Rounds(30);
  EXPECT_EQ(answer.mode, Mode::kAsync);
  EXPECT_NEAR(answer.async_round_s, 2, 0.1);
}

TEST(Policy, GoesBackWhenTheStragglersHaveGone) {
  Cluster cluster(Mode::kSync, 3, {.lease = HeavyTail});
  EXPECT_EQ(cluster.Rounds(40).mode, Mode::kAsync);
  cluster.options()->lease = ClusterOptions().lease;
  EXPECT_EQ(cluster.Rounds(60).mode, Mode::kSync);
  EXPECT_EQ(cluster.switches(), 2);
}

// Two modes of nearly equal times, by 1.5 times the epochs; async really needs four times as many.
TEST(Policy, BelievesWhatItMeasuresOfTheEpochs) {
  const ClusterOptions options{
      .async_epochs = 4, .loss_noise = 0.0005, .communication = {.sync_s = 1.2, .async_s = 1}};
  Cluster cluster(Mode::kSync, 4, options);
  EXPECT_EQ(cluster.Rounds(12).mode, Mode::kAsync);
  const PolicyAnswer answer = cluster.Rounds(100);
  EXPECT_EQ(answer.mode, Mode::kSync);
  EXPECT_GT(answer.more_epochs, 2.2);
  EXPECT_LT(answer.more_epochs, 4.0);
}

// To a loss that takes some 200 rounds, auto is hardly slower than the better of the fixed modes.
TEST(Policy, ComesNearTheBetterMode) {
  constexpr PolicyOptions kNeverSwitch{.better = 2};
  const ClusterOptions tails{.lease = HeavyTail};
  const ClusterOptions links{.communication = {.sync_s = 6, .async_s = 3}};
  const ClusterOptions bad_async{.lease = HeavyTail, .async_epochs = 3.5};
  const ClusterOptions good_async{.async_epochs = 1, .communication = {.sync_s = 1, .async_s = 1}};
  for (const ClusterOptions& options : {ClusterOptions(), tails, links, bad_async, good_async}) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      const double sync_s = Cluster(Mode::kSync, seed, options, kNeverSwitch).SecondsToTheEnd();
      const double async_s = Cluster(Mode::kAsync, seed, options, kNeverSwitch).SecondsToTheEnd();
      const double auto_s = Cluster(Mode::kSync, seed, options).SecondsToTheEnd();
      EXPECT_LT(auto_s, 1.1 * std::min(sync_s, async_s)) << sync_s << " " << async_s;
    }
  }
}

TEST(Policy, PredictsTheTimeToTheTarget) {
  Cluster cluster(Mode::kSync, 5, {.loss_noise = 0});
  const PolicyAnswer before = cluster.Rounds(50);
  // The loss falls by 0.3 for each unit of ln(samples): simulate on until it is there.
  const double target = before.target_loss;
  ASSERT_GT(target, 0);
  double seconds = 0;
  for (double loss = target / 0.9, samples = 50 * 1600; loss > target; samples += 1600) {
    loss -= 0.3 * std::log((samples + 1600) / samples);
    seconds += 1.02;
  }
  EXPECT_NEAR(before.sync_s, seconds, 0.05 * seconds);
  EXPECT_NEAR(before.async_s, 1.5 * seconds, 0.1 * seconds);
}

TEST(Policy, LearnsFromRoundsThatTakeLongerThanPredicted) {
  Policy policy(Mode::kSync);
  const std::vector<RoundDevice> devices = {{1, "a", {0, 0.01}, 100}, {2, "b", {0, 0.01}, 100}};
  PolicyAnswer answer;
  for (int round = 0; round < 20; ++round) {
    policy.RoundTook(2);
    answer = policy.Evaluate({devices, {}, 1000});
  }
  EXPECT_NEAR(answer.sync_round_s, 2, 1e-9);
  EXPECT_NEAR(answer.async_round_s, 2, 1e-9);  // what it does not know it takes for alike
  EXPECT_EQ(answer.mode, Mode::kSync);
}

TEST(Policy, SaysWhy) {
  Policy policy(Mode::kSync);
  const std::vector<RoundDevice> devices = {
      {1, "fast", {0, 0.01}, 100}, {2, "pi-3", {0, 0.03}, 100}, {3, "none", {0, 9}, 0}};
  const PolicyAnswer answer = policy.Evaluate({devices, {}, 2000});
  EXPECT_EQ(answer.why,
            "sync: sync takes 3 s a round, waiting for pi-3 1 s of it, 30 s to the end of the run; "
            "async takes 1.5 s a round and 1.5 times the epochs, 22.5 s");
  EXPECT_FALSE(policy.Evaluate({{}, {}, 2000}).switched);
}

// Whatever the noise, with modes that are near each other: few switches, and never soon after one.
TEST(Policy, DoesNotFlapUnderNoise) {
  base::Rng rng(6);
  int most = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const double often = rng.NextUniform(0.01, 0.2);
    const double slow = rng.NextUniform(1, 4);
    Cluster cluster(rng.NextBelow(2) == 0 ? Mode::kSync : Mode::kAsync, seed,
                    {.devices = 2 + static_cast<int>(rng.NextBelow(30)),
                     .lease =
                         [=](base::Rng* noise) {
                           const double tail = noise->NextUniform() < often ? slow : 1;
                           return tail * std::exp(0.2 * noise->NextNormal());
                         },
                     .async_epochs = rng.NextUniform(1, 2.5),
                     .loss_noise = rng.NextUniform(0, 0.1)});
    cluster.Rounds(300);
    most = std::max(most, cluster.switches());
  }
  EXPECT_LE(most, 4);
}

}  // namespace
}  // namespace weft::cluster
