#include "app/confusion.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace weft::app {
namespace {

Confusion Example() {
  Confusion confusion(3, {"yes", "no"});
  confusion.Add(0, 0);
  confusion.Add(0, 0);
  confusion.Add(0, 1);
  confusion.Add(1, 1);
  return confusion;
}

TEST(Confusion, CountsByTrueAndPredictedClass) {
  const Confusion confusion = Example();
  EXPECT_EQ(confusion.count(0, 0), 2);
  EXPECT_EQ(confusion.count(0, 1), 1);
  EXPECT_EQ(confusion.count(1, 0), 0);
  EXPECT_EQ(confusion.samples(0), 3);
  EXPECT_EQ(confusion.predictions(1), 2);
}

TEST(Confusion, ClassesWithoutNamesBearTheirNumbers) {
  EXPECT_EQ(Example().name(1), "no");
  EXPECT_EQ(Example().name(2), "2");
}

TEST(Confusion, RecallIsOfTheTrueClassPrecisionOfThePredicted) {
  const Confusion confusion = Example();
  EXPECT_DOUBLE_EQ(*confusion.Recall(0), 2.0 / 3);
  EXPECT_DOUBLE_EQ(*confusion.Precision(0), 1);
  EXPECT_DOUBLE_EQ(*confusion.Recall(1), 1);
  EXPECT_DOUBLE_EQ(*confusion.Precision(1), 0.5);
  EXPECT_FALSE(confusion.Recall(2).has_value());
  EXPECT_FALSE(confusion.Precision(2).has_value());
}

TEST(Confusion, JsonHasARowATrueClass) {
  EXPECT_EQ(ToJson(Example()).dump(),
            R"({"classes":["yes","no","2"],"counts":[[2,1,0],[0,1,0],[0,0,0]]})");
}

}  // namespace
}  // namespace weft::app
