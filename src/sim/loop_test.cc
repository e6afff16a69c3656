#include "sim/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace weft::sim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr TimePoint kEnd{1'000'000'000};

TEST(Loop, RunsInTheOrderOfTimeThenOfMaking) {
  Loop loop(1);
  std::vector<int> ran;
  for (int i = 0; i < 3; ++i) {
    loop.At({20}, [&, i] { ran.push_back(20 + i); });
    loop.At({10}, [&, i] { ran.push_back(10 + i); });
  }
  while (loop.Step(kEnd)) {
  }
  EXPECT_THAT(ran, ElementsAre(10, 11, 12, 20, 21, 22));
  EXPECT_EQ(loop.now(), TimePoint{20});
  EXPECT_EQ(loop.events(), 6);
}

TEST(Loop, ManyEventsComeInOrder) {
  Loop loop(3);
  std::vector<std::pair<int64_t, int>> made;
  std::vector<std::pair<int64_t, int>> ran;
  for (int i = 0; i < 5000; ++i) {
    const auto when = static_cast<int64_t>(loop.rng().NextBelow(1000));
    made.emplace_back(when, i);
    loop.At({when}, [&, i] { ran.emplace_back(loop.now().ns, i); });
  }
  while (loop.Step(kEnd)) {
  }
  std::sort(made.begin(), made.end());
  EXPECT_EQ(ran, made);
}

TEST(Loop, StopsAtTheEndAndGoesOn) {
  Loop loop(1);
  std::vector<int> ran;
  loop.At({10}, [&] { ran.push_back(10); });
  EXPECT_FALSE(loop.Step({9}));
  EXPECT_THAT(ran, IsEmpty());
  EXPECT_TRUE(loop.Step({10}));
  EXPECT_FALSE(loop.Step({10}));
  EXPECT_THAT(ran, ElementsAre(10));
}

TEST(Loop, ThePastIsNow) {
  Loop loop(1);
  TimePoint ran;
  loop.At({50}, [&] { loop.At({10}, [&] { ran = loop.now(); }); });
  while (loop.Step(kEnd)) {
  }
  EXPECT_EQ(ran, TimePoint{50});
}

TEST(Loop, TheHashIsOfWordsTheirOrderAndTheirTimes) {
  const auto hash = [](int64_t when, std::initializer_list<uint64_t> words) {
    Loop loop(1);
    loop.At({when}, [&] { loop.Mix(words); });
    loop.Step(kEnd);
    return loop.trace_hash();
  };
  EXPECT_EQ(hash(1, {2, 3}), hash(1, {2, 3}));
  EXPECT_NE(hash(1, {2, 3}), hash(1, {3, 2}));
  EXPECT_NE(hash(1, {2, 3}), hash(2, {2, 3}));
  EXPECT_NE(hash(1, {2}), hash(1, {2, 0}));
}

TEST(Loop, VerboseChangesNothingInTheHash) {
  const auto hash = [](bool verbose) {
    Loop loop(1);
    loop.set_verbose(verbose);
    ::testing::internal::CaptureStderr();
    loop.Trace("a line");
    const std::string printed = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(printed.find("a line") != std::string::npos, verbose);
    return loop.trace_hash();
  };
  EXPECT_EQ(hash(true), hash(false));
}

}  // namespace
}  // namespace weft::sim
