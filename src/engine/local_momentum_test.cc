#include "engine/local_momentum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/optimizer.h"

namespace weft::engine {
namespace {

using testing::ElementsAre;

TEST(LocalMomentum, AddsWhatItRemembersOfEachStretch) {
  LocalMomentum momentum(3, 0.5);
  std::vector<float> first = {1, 2}, rest = {4, 8};
  momentum.AddTo(0, first);
  momentum.AddTo(2, rest);  // the last value is a statistic
  EXPECT_THAT(first, ElementsAre(1.5, 3));
  EXPECT_THAT(rest, ElementsAre(6, 8));
  std::vector<float> next = {0, 2, 0, 8};
  momentum.AddTo(0, next);
  EXPECT_THAT(next, ElementsAre(0.25, 3.5, 1, 8));
  momentum.Clear();
  std::vector<float> anew = {0, 2, 0, 8};
  momentum.AddTo(0, anew);
  EXPECT_THAT(anew, ElementsAre(0, 3, 0, 8));
}

TEST(LocalMomentum, WhatIsTakenOutOfItsVelocityDoesNotComeBack) {
  LocalMomentum momentum(2, 0.5, 4);
  EXPECT_TRUE(momentum.Velocity(0, 4).empty()) << "nothing was added";
  std::vector<float> gradient = {2, 4, 8, 8};
  momentum.AddTo(0, gradient);
  EXPECT_THAT(momentum.Velocity(0, 4), ElementsAre(2, 4, 0, 0)) << "statistics have none";
  EXPECT_THAT(momentum.Velocity(1, 2), ElementsAre(4, 0));
  EXPECT_TRUE(momentum.Velocity(4, 0).empty());
  momentum.Velocity(0, 1)[0] = 0;
  std::vector<float> next = {2, 4, 8, 8};
  momentum.AddTo(0, next);
  EXPECT_THAT(next, ElementsAre(3, 7, 8, 8));
  EXPECT_THAT(momentum.Velocity(0, 2), ElementsAre(2, 6));
  momentum.Clear();
  EXPECT_TRUE(momentum.Velocity(0, 4).empty());
}

TEST(LocalMomentum, WithoutMomentumNothingChanges) {
  LocalMomentum momentum(2, 0);
  std::vector<float> gradient = {1, 2};
  momentum.AddTo(0, gradient);
  EXPECT_THAT(gradient, ElementsAre(1, 2));
}

// One device's momentum and a leader without its own go where the leader's momentum goes.
TEST(LocalMomentum, OfOneDeviceIsThatOfTheOptimizer) {
  const OptimizerOptions options{.momentum = 0.9, .nesterov = true, .weight_decay = 0.01};
  Optimizer one(options, 1, {}), two(options, 1, {});
  LocalMomentum momentum(1, 0.9);
  std::vector<float> w = {5}, v = {5};
  for (int step = 0; step < 400; ++step) {
    one.Apply(0.01, std::vector<float>{w[0] - 1}, w);
    std::vector<float> gradient = {v[0] - 1};
    momentum.AddTo(0, gradient);
    two.Apply(0.01, gradient, v, {.has_momentum = true});
  }
  EXPECT_NEAR(v[0], w[0], 1e-3);
  EXPECT_LT(w[0], 1.0) << "decayed";
}

// Four workers whose gradients are all a round old, on a bowl as steep as momentum just bears
// without delay: with the leader's momentum they fly out of it, with their own they do not.
TEST(LocalMomentum, BearsRatesThatALeadersMomentumDoesNot) {
  const auto end = [](bool own) {
    Optimizer optimizer({.momentum = 0.9, .nesterov = true}, 1, {});
    std::vector<LocalMomentum> momenta(4, LocalMomentum(1, 0.9));
    std::vector<float> w = {1}, seen(4, 1.0f);
    for (int update = 0; update < 2000; ++update) {
      const auto worker = static_cast<size_t>(update % 4);
      std::vector<float> gradient = {seen[worker]};
      if (own) momenta[worker].AddTo(0, gradient);
      optimizer.Apply(0.4, gradient, w, {.fraction = 0.25, .has_momentum = own});
      seen[worker] = w[0];
    }
    return std::abs(w[0]);
  };
  EXPECT_LT(end(true), 1e-3);
  EXPECT_GT(end(false), 1e3);
}

// What a leader's own velocity was before fades, and takes no part.
TEST(LocalMomentum, TheLeadersVelocityFades) {
  Optimizer optimizer({.momentum = 0.5}, 1, {});
  std::vector<float> w = {0};
  optimizer.Apply(1, std::vector<float>{8}, w);
  EXPECT_EQ(w[0], -8);
  optimizer.Apply(1, std::vector<float>{0}, w, {.has_momentum = true});
  EXPECT_EQ(w[0], -8);
  EXPECT_EQ(optimizer.state().moments[0].values[0], 4);
}

}  // namespace
}  // namespace weft::engine
