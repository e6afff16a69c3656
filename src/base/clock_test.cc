#include "base/clock.h"

#include <gtest/gtest.h>

namespace weft::base {
namespace {

TEST(ThreadCpuNow, GoesOnWithComputingAndNoFasterThanTime) {
  const TimePoint started = SystemClock().Now();
  const TimePoint start = ThreadCpuNow();
  TimePoint last = start;
  while (last - start < std::chrono::milliseconds(2)) {
    const TimePoint now = ThreadCpuNow();
    ASSERT_GE(now, last);
    last = now;
  }
  EXPECT_GE(SystemClock().Now() - started, last - start - std::chrono::microseconds(100));
}

}  // namespace
}  // namespace weft::base
