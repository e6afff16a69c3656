#include "lab/delay_line.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace weft::lab {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

TimePoint At(int64_t ms) { return TimePoint{} + milliseconds(ms); }

std::vector<std::string> Drain(DelayLine* line, TimePoint now) {
  std::vector<std::string> frames;
  while (auto frame = line->Pop(now)) frames.push_back(*std::move(frame));
  return frames;
}

TEST(DelayLineTest, FrameComesOutAfterTheLatencyAndNotBefore) {
  DelayLine line({.latency = milliseconds(20)});
  line.Push(At(1), "a");
  EXPECT_EQ(line.Next(), At(21));
  EXPECT_FALSE(line.Pop(At(20)));
  EXPECT_EQ(line.Pop(At(21)), "a");
  EXPECT_FALSE(line.Next());
}

TEST(DelayLineTest, JitterStaysWithinItsBoundsAndKeepsTheOrder) {
  DelayLine line({.latency = milliseconds(10), .jitter = milliseconds(8), .seed = 3});
  std::vector<int64_t> delays;
  for (int i = 0; i < 1000; ++i) {
    const TimePoint now = At(100 * i);
    line.Push(now, "x");
    delays.push_back((*line.Next() - now).count());
    Drain(&line, At(100 * i + 99));
  }
  const auto [least, most] = std::minmax_element(delays.begin(), delays.end());
  EXPECT_GE(*least, Duration(milliseconds(10)).count());
  EXPECT_LT(*least, Duration(milliseconds(11)).count());
  EXPECT_GT(*most, Duration(milliseconds(17)).count());
  EXPECT_LE(*most, Duration(milliseconds(18)).count());

  for (const char* frame : {"a", "b", "c", "d", "e", "f"}) line.Push(At(200'000), frame);
  EXPECT_THAT(Drain(&line, At(200'100)), ElementsAre("a", "b", "c", "d", "e", "f"));
}

TEST(DelayLineTest, LosesAndDoublesTheShareAskedFor) {
  DelayLine line({.loss = 0.1, .duplication = 0.02, .seed = 7});
  for (int i = 0; i < 10'000; ++i) {
    line.Push(At(i), "x");
    Drain(&line, At(i));
  }
  EXPECT_NEAR(line.counts().lost, 1000, 100);
  EXPECT_NEAR(line.counts().duplicated, 180, 45);
  EXPECT_EQ(line.counts().passed, 10'000 - line.counts().lost + line.counts().duplicated);
}

TEST(DelayLineTest, ReorderedFrameIsOvertaken) {
  DelayLine always({.latency = milliseconds(1), .reordering = 1});
  always.Push(At(0), "late");
  EXPECT_EQ(always.Next(), At(6));

  DelayLine line({.latency = milliseconds(1), .reordering = 0.05, .seed = 5});
  for (int i = 0; i < 1000; ++i) line.Push(At(i), std::to_string(i));
  const auto frames = Drain(&line, At(2000));
  int overtaken = 0;
  for (size_t i = 1; i < frames.size(); ++i) {
    overtaken += std::stoi(frames[i]) < std::stoi(frames[i - 1]);
  }
  EXPECT_EQ(frames.size(), 1000U);
  EXPECT_NEAR(line.counts().reordered, 50, 25);
  EXPECT_GT(overtaken, line.counts().reordered / 2);
}

TEST(DelayLineTest, DropsWhatItHasNoRoomFor) {
  DelayLine line({.latency = milliseconds(1), .most_bytes = 10});
  line.Push(At(0), "12345678");
  line.Push(At(0), "123");
  line.Push(At(0), "12");
  EXPECT_EQ(line.counts().dropped, 1);
  EXPECT_THAT(Drain(&line, At(1)), ElementsAre("12345678", "12"));
  line.Push(At(1), "0123456789");  // the room is free again
  EXPECT_EQ(line.counts().dropped, 1);
}

TEST(DelayLineTest, SameSeedSameLuck) {
  const DelayLineOptions options = {
      .jitter = milliseconds(9), .loss = 0.3, .duplication = 0.2, .reordering = 0.2, .seed = 11};
  DelayLine one(options);
  DelayLine two(options);
  for (int i = 0; i < 100; ++i) {
    one.Push(At(i), std::to_string(i));
    two.Push(At(i), std::to_string(i));
  }
  EXPECT_EQ(Drain(&one, At(1000)), Drain(&two, At(1000)));
}

}  // namespace
}  // namespace weft::lab
