#include "cluster/range_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Values 0..9 are trained, 10..13 are statistics of two layers.
JobSpec Spec() {
  JobSpec spec;
  spec.trainable_count = 10;
  spec.statistics = {{10, 2, 0.1}, {12, 2, 0.3}};
  spec.optimizer.momentum = 0.9;
  return spec;
}

RangeValues Values(float first, size_t count, size_t trainable) {
  RangeValues values;
  for (size_t i = 0; i < count; ++i) values.parameters.push_back(first + static_cast<float>(i));
  values.moments.emplace_back();
  for (size_t i = 0; i < trainable; ++i) values.moments[0].push_back(-values.parameters[i]);
  return values;
}

TEST(RangeValues, ComeBackAsTheyWere) {
  const RangeValues values = Values(3, 5, 4);
  const Bytes payload = EncodeRangeValues(values.View());
  EXPECT_EQ(payload.size(), 24u + 4 * 9);
  const auto back = DecodeRangeValues(payload, {.count = 5, .trainable = 4, .moments = 1});
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back->parameters, values.parameters);
  EXPECT_EQ(back->moments, values.moments);
}

TEST(RangeValues, HaveTheBytesThatTheHeaderDraws) {
  const Bytes payload = EncodeRangeValues(RangeValues{{1.0f}, {{}, {}}}.View());
  EXPECT_THAT(
      Bytes(payload.begin() + 4, payload.end()),
      ElementsAre(2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3F));
}

TEST(RangeValues, AnyDamageIsNoticed) {
  const RangeShape shape{.count = 5, .trainable = 4, .moments = 1};
  const Bytes good = EncodeRangeValues(Values(3, 5, 4).View());
  for (size_t at = 0; at < good.size(); ++at) {
    Bytes damaged = good;
    damaged[at] ^= 0x10;
    EXPECT_EQ(DecodeRangeValues(damaged, shape).status().code(), Code::kDataLoss) << at;
    EXPECT_FALSE(DecodeRangeValues(ByteView(good).first(at), shape).ok());
  }
}

TEST(RangeValues, OfAnotherShapeAreRefused) {
  const Bytes payload = EncodeRangeValues(Values(3, 4, 4).View());
  EXPECT_FALSE(DecodeRangeValues(payload, {.count = 4, .trainable = 2, .moments = 2}).ok());
  EXPECT_THAT(
      DecodeRangeValues(payload, {.count = 6, .trainable = 2, .moments = 1}).status().message(),
      HasSubstr("values: got 4, want 6"));
  EXPECT_FALSE(DecodeRangeValues(payload, {.count = 8}).ok());
}

TEST(RangeShape, OfEachPartOfAVector) {
  const JobSpec spec = Spec();
  EXPECT_EQ(ShapeOf(spec, {2, 5}).trainable, 5u);
  EXPECT_EQ(ShapeOf(spec, {8, 4}).trainable, 2u);
  EXPECT_EQ(ShapeOf(spec, {11, 2}).trainable, 0u);
  EXPECT_THAT(StatisticsOf(spec, {0, 10}), IsEmpty());
  const auto statistics = StatisticsOf(spec, {8, 5});
  ASSERT_THAT(statistics, SizeIs(2));
  EXPECT_EQ(statistics[0].begin, 2);
  EXPECT_EQ(statistics[0].count, 2);
  EXPECT_EQ(statistics[0].momentum, 0.1);
  EXPECT_EQ(statistics[1].begin, 4);
  EXPECT_EQ(statistics[1].count, 1);
}

TEST(RangeShape, LocalStepsBringTheOuterOptimizer) {
  JobSpec spec = Spec();
  spec.optimizer = {.kind = engine::OptimizerOptions::Kind::kAdamw, .weight_decay = 1};
  spec.aggregation.local_steps = 4;
  spec.aggregation.outer_momentum = 0.8;
  const engine::OptimizerOptions rule = UpdateRule(spec);
  EXPECT_EQ(rule.kind, engine::OptimizerOptions::Kind::kSgd);
  EXPECT_EQ(rule.momentum, 0.8);
  EXPECT_TRUE(rule.nesterov);
  EXPECT_EQ(rule.weight_decay, 0);
  EXPECT_EQ(ShapeOf(spec, {0, 4}).moments, 1u);
  EXPECT_EQ(StatisticsOf(spec, {10, 2}).at(0).momentum, 1);
  spec.aggregation.outer_momentum = 0;
  EXPECT_EQ(ShapeOf(spec, {0, 4}).moments, 0u);
}

TEST(RangeAssembly, PutsStretchesTogetherInAnyOrder) {
  RangeAssembly assembly(Spec(), {4, 9});
  const RangeValues back = Values(108, 5, 2), front = Values(104, 4, 4);
  assembly.Add({.range = {8, 5}, .step = 3, .version = 9, .values = back.View()});
  assembly.Add({.range = {8, 5}, .step = 3, .version = 9, .values = back.View()});
  EXPECT_FALSE(assembly.whole());
  assembly.Add(
      {.range = {4, 4}, .step = 3, .version = 7, .optimizer_steps = 6, .values = front.View()});
  ASSERT_TRUE(assembly.whole());
  const Snapshot numbers = assembly.Take();
  EXPECT_EQ(numbers.step, 3);
  EXPECT_EQ(numbers.version, 9);
  EXPECT_EQ(numbers.optimizer.steps, 6);
  EXPECT_THAT(numbers.parameters, ElementsAre(104, 105, 106, 107, 108, 109, 110, 111, 112));
  ASSERT_THAT(numbers.optimizer.moments, SizeIs(1));
  EXPECT_EQ(numbers.optimizer.moments[0].name, "velocity");
  EXPECT_THAT(numbers.optimizer.moments[0].values, ElementsAre(-104, -105, -106, -107, -108, -109));
}

}  // namespace
}  // namespace weft::cluster
