#include "net/transfer_timer.h"

#include <gtest/gtest.h>

#include <string>

namespace weft::net {
namespace {

using std::chrono::milliseconds;

v1::Frame First(uint64_t message, uint64_t promised, size_t bytes) {
  v1::Frame frame;
  frame.set_message(message);
  frame.mutable_head();
  frame.set_payload_bytes(promised);
  frame.set_data(std::string(bytes, 'x'));
  return frame;
}

v1::Frame Later(uint64_t message, size_t bytes) {
  v1::Frame frame;
  frame.set_message(message);
  frame.set_data(std::string(bytes, 'x'));
  return frame;
}

v1::Frame Small(uint64_t message) {
  v1::Frame frame;
  frame.set_message(message);
  frame.mutable_head();
  return frame;
}

TimePoint At(int ms) { return TimePoint{} + milliseconds(ms); }

TEST(TransferTimer, TimesWhatComesAfterTwoFifths) {
  TransferTimer timer(true);
  EXPECT_FALSE(timer.Add(First(1, 50, 10), At(0)));
  EXPECT_FALSE(timer.Add(Later(1, 10), At(1)));
  EXPECT_FALSE(timer.Add(Later(1, 10), At(101)));
  EXPECT_FALSE(timer.Add(Later(1, 10), At(201)));
  const auto transfer = timer.Add(Later(1, 10), At(301));
  ASSERT_TRUE(transfer);
  EXPECT_TRUE(transfer->up);
  EXPECT_EQ(transfer->bytes, 30);
  EXPECT_DOUBLE_EQ(transfer->seconds, 0.3);
}

TEST(TransferTimer, TwoHalvesAreEnough) {
  TransferTimer timer(false);
  EXPECT_FALSE(timer.Add(First(1, 9, 4), At(10)));
  const auto transfer = timer.Add(Later(1, 5), At(30));
  ASSERT_TRUE(transfer);
  EXPECT_FALSE(transfer->up);
  EXPECT_EQ(transfer->bytes, 5);
  EXPECT_DOUBLE_EQ(transfer->seconds, 0.02);
}

TEST(TransferTimer, SmallMessagesBetweenTheFramesDoNotMatter) {
  TransferTimer timer(false);
  EXPECT_FALSE(timer.Add(Small(1), At(0)));
  EXPECT_FALSE(timer.Add(First(2, 20, 10), At(10)));
  EXPECT_FALSE(timer.Add(Small(3), At(15)));
  const auto transfer = timer.Add(Later(2, 10), At(20));
  ASSERT_TRUE(transfer);
  EXPECT_EQ(transfer->bytes, 10);
}

TEST(TransferTimer, OneFrameSaysNothing) {
  TransferTimer timer(false);
  EXPECT_FALSE(timer.Add(First(1, 10, 10), At(0)));
  EXPECT_FALSE(timer.Add(First(2, 10, 10), At(5)));
}

TEST(TransferTimer, OnlyTheNewestOfSeveralIsTimed) {
  TransferTimer timer(false);
  EXPECT_FALSE(timer.Add(First(1, 20, 10), At(0)));
  EXPECT_FALSE(timer.Add(First(2, 8, 4), At(5)));
  EXPECT_FALSE(timer.Add(Later(1, 10), At(10)));
  const auto transfer = timer.Add(Later(2, 4), At(15));
  ASSERT_TRUE(transfer);
  EXPECT_EQ(transfer->bytes, 4);
  EXPECT_DOUBLE_EQ(transfer->seconds, 0.01);
}

}  // namespace
}  // namespace weft::net
