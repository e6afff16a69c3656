#include "base/status.h"

#include <gtest/gtest.h>

#include <memory>

namespace weft::base {
namespace {

TEST(Status, SaysItsCodeAndMessage) {
  EXPECT_EQ(OkStatus().ToString(), "ok");
  const Status status = InvalidArgument("kernel: got 0, want 1..31");
  EXPECT_EQ(status.ToString(), "invalid argument: kernel: got 0, want 1..31");
  EXPECT_EQ(status.Annotate("conv1"),
            Status(Code::kInvalidArgument, "conv1: kernel: got 0, want 1..31"));
  EXPECT_EQ(OkStatus().Annotate("conv1"), OkStatus());
}

Result<std::unique_ptr<int>> Make(bool well) {
  if (!well) return NotFound("nothing");
  return std::make_unique<int>(3);
}

Result<int> Twice(bool well) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> value, Make(well));
  return 2 * *value;
}

TEST(Result, CarriesAValueOrTheError) {
  EXPECT_EQ(*Twice(true), 6);
  EXPECT_EQ(Twice(false).status(), NotFound("nothing"));
}

TEST(ResultDeathTest, TakingTheValueOfAnErrorStops) {
  EXPECT_DEATH((void)Twice(false).value(), "nothing");
}

}  // namespace
}  // namespace weft::base
