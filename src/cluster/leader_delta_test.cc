// Parameters that go down as differences: what workers hold, whoever leads.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "cluster/held_parameters.h"
#include "cluster/leader_testing.h"

namespace weft::cluster {
namespace {

using ::testing::ElementsAreArray;
using testing::LayoutOf;
using testing::Leaders;
using testing::Packet;
using ::testing::SizeIs;
using testing::WorkerAt;

constexpr int64_t kValues = 8192;
constexpr Range kAll = {0, kValues};
constexpr Range kFront = {0, kValues / 2};
constexpr Range kBack = {kValues / 2, kValues / 2};
constexpr size_t kWholeBytes = 16 + 4 * kValues;

JobSpec Spec(const std::string& down = "chunk-topk") {
  JobSpec spec;
  spec.samples = spec.batch = 4;
  spec.trainable_count = kValues;
  spec.codec_down.name = down;
  return spec;
}

std::vector<float> Random(uint64_t seed, size_t count = kValues) {
  base::Rng rng(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng.NextUniform(-1, 1));
  return values;
}

std::vector<float> ValuesIn(const Payload& packet, const Range& range) {
  std::vector<float> values(static_cast<size_t>(range.count));
  EXPECT_NE(packet, nullptr);
  if (packet == nullptr) return values;
  EXPECT_TRUE(codec::MakeDense()->Decode(*packet, values).ok());
  return values;
}

// One that pulls what it lacks.
class Puller {
 public:
  Puller(Leaders* leaders, DeviceId device, const Range& range)
      : leaders_(leaders), device_(device), range_(range) {
    held_.UseCodec(codec::MakeCodec(Spec().codec_down).value(), RunTag(Spec().run));
    held_.SetCut(LayoutOf(1, {{range, 0, 0}}));
  }
  Parameters Ask(DeviceId leader, int64_t version) {
    const HeldParameters::Base base = held_.BaseOf(range_);
    leaders_->Tell(leader, WorkerAt(device_),
                   Pull{1, device_, version, range_, base.log, base.version});
    const auto got = leaders_->Heard<Parameters>();
    EXPECT_THAT(got, SizeIs(1));
    return got.empty() ? Parameters{} : got[0];
  }
  Parameters Get(DeviceId leader, int64_t version) {
    const Parameters got = Ask(leader, version);
    EXPECT_NE(held_.Put(got), HeldParameters::Got::kLacksBase);
    return got;
  }
  std::vector<float> Values(int64_t version) const {
    return ValuesIn(held_.ValuesOf(range_, version), range_);
  }
  const HeldParameters& held() const { return held_; }

 private:
  Leaders* leaders_;
  DeviceId device_;
  Range range_;
  HeldParameters held_;
};

class Differences : public ::testing::Test {
 protected:
  explicit Differences(const JobSpec& spec = Spec()) : leaders_(spec, {0, 0, Random(1), {}}) {
    leaders_.Hold(leaders_.layout());
    leaders_.Forget();
  }

  // A step of one lease, by device 9.
  void Step(DeviceId leader, int64_t step, const Range& range = kAll, double density = 0) {
    leaders_.Order(leader, BeginStep{.term = 1,
                                     .step = step,
                                     .total_samples = 4,
                                     .leases = {LeaseOf(step)},
                                     .lr = 0.1,
                                     .range = range,
                                     .version = step,
                                     .density = density,
                                     .value_kind = 2});
    const auto count = static_cast<size_t>(range.count);
    leaders_.Tell(leader, WorkerAt(9),
                  Push{.term = 1,
                       .device = 9,
                       .incarnation = 5,
                       .sequence = static_cast<uint64_t>(step + 1) * 2 + (range.begin > 0 ? 1 : 0),
                       .lease = LeaseOf(step),
                       .version = step,
                       .gradient = Packet(Random(static_cast<uint64_t>(step) + 100, count)),
                       .range = range});
    leaders_.Deliver();
    leaders_.Forget();
  }
  static Lease LeaseOf(int64_t step) {
    return {.id = static_cast<uint64_t>(step * kLeaseIdsPerStep) + 1, .step = step, .count = 4};
  }
  std::vector<float> Truth(DeviceId leader = 0) {
    std::vector<float> truth;
    leaders_.At(leader).ForEachShard([&](const Shard& shard) {
      truth.assign(shard.parameters().begin(), shard.parameters().end());
    });
    return truth;
  }

  Leaders leaders_;
};

TEST_F(Differences, BeginWithAllAsItIs) {
  Puller puller(&leaders_, 5, kAll);
  const Parameters got = puller.Get(0, 0);
  EXPECT_EQ(got.base, -1);
  EXPECT_NE(got.log, 0u);
  EXPECT_EQ(got.values->size(), kWholeBytes);
  EXPECT_THAT(puller.Values(0), ElementsAreArray(Truth()));
}

TEST_F(Differences, AreASmallPartOfTheWholeAndLagBehindTheParameters) {
  Puller puller(&leaders_, 5, kAll);
  puller.Get(0, 0);
  Step(0, 0);
  const Parameters got = puller.Get(0, 1);
  EXPECT_EQ(got.base, 0);
  EXPECT_LT(got.values->size(), kWholeBytes / 50);
  EXPECT_NE(puller.Values(1), puller.Values(0));
  EXPECT_NE(puller.Values(1), Truth());
}

// However they came by it.
TEST_F(Differences, WhoeverHoldsAVersionHasTheSameBits) {
  Puller steady(&leaders_, 5, kAll), lazy(&leaders_, 6, kAll);
  steady.Get(0, 0);
  lazy.Get(0, 0);
  for (int64_t step = 0; step < 20; ++step) {
    Step(0, step);
    EXPECT_EQ(steady.Get(0, step + 1).base, step);
    if (step % 3 != 0) continue;
    EXPECT_GE(lazy.Get(0, step + 1).base, 0);
    EXPECT_EQ(lazy.Values(step + 1), steady.Values(step + 1));
    Puller late(&leaders_, 7, kAll);
    EXPECT_EQ(late.Get(0, step + 1).base, -1);
    EXPECT_EQ(late.Values(step + 1), steady.Values(step + 1));
  }
}

TEST_F(Differences, CatchUpOnceTheParametersRest) {
  Puller puller(&leaders_, 5, kAll);
  puller.Get(0, 0);
  Step(0, 0);
  puller.Get(0, 1);
  const auto off = [&](int64_t version) {
    const std::vector<float> truth = Truth(), values = puller.Values(version);
    double sum = 0;
    for (size_t i = 0; i < truth.size(); ++i) sum += std::abs(truth[i] - values[i]);
    return sum;
  };
  const double before = off(1);
  for (int64_t step = 1; step < 200; ++step) {
    // Without any update only the version goes on.
    leaders_.Order(
        0, BeginStep{.term = 1, .step = step, .leases = {}, .range = kAll, .version = step});
    puller.Get(0, step + 1);
    leaders_.Forget();
  }
  EXPECT_LT(off(200), before / 10);
}

TEST_F(Differences, TooFarBehindTheWholeIsLess) {
  Puller steady(&leaders_, 5, kAll), late(&leaders_, 6, kAll);
  steady.Get(0, 0);
  late.Get(0, 0);
  int64_t step = 0;
  size_t bytes = 0;
  while (bytes < kWholeBytes) {
    Step(0, step++);
    bytes += steady.Get(0, step).values->size();
  }
  const Parameters got = late.Get(0, step);
  EXPECT_EQ(got.base, -1);
  EXPECT_EQ(got.values->size(), kWholeBytes);
  EXPECT_EQ(late.Values(step), steady.Values(step));
}

TEST_F(Differences, NothingNewerIsSaidWithoutValues) {
  Puller puller(&leaders_, 5, kAll);
  puller.Get(0, 0);
  const Parameters got = puller.Ask(0, 0);
  EXPECT_EQ(got.version, 0);
  EXPECT_EQ(got.base, 0);
  EXPECT_EQ(got.values, nullptr);
}

TEST_F(Differences, AreNotForWhatAnotherLogCallsByTheSameNumber) {
  Puller puller(&leaders_, 5, kAll);
  const uint64_t log = puller.Get(0, 0).log;
  Step(0, 0);
  for (const Pull& pull : {Pull{1, 5, 1, kAll, log + 1, 0}, Pull{1, 5, 1, kAll, 0, 0},
                           Pull{1, 5, 1, kAll, log, 7}, Pull{1, 5, 1, kAll, log, -1}}) {
    leaders_.Tell(0, WorkerAt(5), pull);
    const auto got = leaders_.Heard<Parameters>();
    ASSERT_THAT(got, SizeIs(1));
    EXPECT_EQ(got[0].base, -1);
    EXPECT_EQ(got[0].log, log);
  }
}

class FailOver : public Differences {
 protected:
  FailOver() {
    for (DeviceId device : {1u, 2u}) leaders_.Add(device);
    leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
    leaders_.Forget();
  }
};

// A version of the dead leader's log is of no use to the next one, though it has the same number.
TEST_F(FailOver, WhoeverTakesOverSendsAllOfItFirst) {
  Puller puller(&leaders_, 5, kAll), other(&leaders_, 6, kAll);
  const uint64_t log = puller.Get(1, 0).log;
  Step(1, 0);
  Step(1, 1);
  EXPECT_EQ(puller.Get(1, 2).base, 0);
  leaders_.Kill(1);
  leaders_.Hold(LayoutOf(3, {{kAll, 2, 0}}));
  leaders_.Forget();
  EXPECT_EQ(other.Get(2, 2).base, -1);
  EXPECT_EQ(other.Values(2), Truth(2)) << "begins anew with the parameters";
  EXPECT_NE(puller.Values(2), other.Values(2));
  Step(2, 2);
  const Parameters got = puller.Get(2, 3);
  EXPECT_EQ(got.base, -1);
  EXPECT_NE(got.log, log);
  EXPECT_EQ(other.Get(2, 3).base, 2);
  EXPECT_EQ(other.Values(3), puller.Values(3));
}

TEST_F(FailOver, AStandbyThatIsAskedTooEarlyBindsNobodyToItself) {
  Puller puller(&leaders_, 5, kAll);
  const Parameters got = puller.Get(2, 0);
  EXPECT_EQ(got.base, -1);
  EXPECT_EQ(got.log, 0u);
  EXPECT_EQ(puller.held().BaseOf(kAll).log, 0u);
}

// With several ranges a lease may still have to be computed from the version before.
class TwoRanges : public Differences {
 protected:
  TwoRanges() {
    for (DeviceId device : {1u, 2u}) leaders_.Add(device);
    leaders_.Move(LayoutOf(2, {{kFront, 1, 0}, {kBack, 2, 0}}));
    leaders_.Forget();
  }
};

TEST_F(TwoRanges, TheVersionBeforeIsWhatItsWorkersHeld) {
  Puller puller(&leaders_, 5, kFront), late(&leaders_, 6, kFront);
  puller.Get(1, 0);
  for (int64_t step = 0; step < 2; ++step) {
    Step(1, step, kFront);
    puller.Get(1, step + 1);
  }
  const std::vector<float> truth = Truth(1);
  Step(1, 2, kFront);
  const Parameters got = late.Get(1, 2);
  EXPECT_EQ(got.version, 2);
  EXPECT_EQ(late.Values(2), puller.Values(2));
  EXPECT_NE(late.Values(2), truth);
}

TEST_F(TwoRanges, EachHasALogOfItsOwn) {
  Puller front(&leaders_, 5, kFront), back(&leaders_, 5, kBack);
  front.Get(1, 0);
  back.Get(2, 0);
  EXPECT_NE(front.held().BaseOf(kFront).log, back.held().BaseOf(kBack).log);
  Step(2, 0, kBack);
  EXPECT_EQ(back.Get(2, 1).base, 0);
}

class Aimed : public Differences {
 protected:
  Aimed() : Differences(Spec("auto")) {}
};

TEST_F(Aimed, AStepSaysHowMuchOfItIsSent) {
  Puller puller(&leaders_, 5, kAll);
  puller.Get(0, 0);
  Step(0, 0);
  EXPECT_EQ(puller.Get(0, 1).base, -1) << "all in full is no less than the whole";
  EXPECT_EQ(puller.Values(1), Truth());
  Step(0, 1, kAll, 0.25);
  const Parameters some = puller.Ask(0, 2);
  EXPECT_EQ(some.base, 1);
  Step(0, 2, kAll, 0.01);
  leaders_.Tell(0, WorkerAt(5), Pull{1, 5, 3, kAll, some.log, 2});
  const auto few = leaders_.Heard<Parameters>();
  ASSERT_THAT(few, SizeIs(1));
  EXPECT_EQ(few[0].base, 2);
  EXPECT_LT(few[0].values->size() * 8, some.values->size());
}

TEST(Whole, WhereTheCodecLeavesNothingOut) {
  for (const char* down : {"dense", "fp16"}) {
    Leaders leaders(Spec(down), {0, 0, Random(1), {}});
    leaders.Hold(leaders.layout());
    leaders.Tell(0, WorkerAt(5), Pull{1, 5, 0, kAll, 1, 0});
    const auto got = leaders.Heard<Parameters>();
    ASSERT_THAT(got, SizeIs(1));
    EXPECT_EQ(got[0].log, 0u);
    EXPECT_EQ(got[0].base, -1);
    std::vector<float> values(kValues);
    EXPECT_TRUE(codec::MakeCodec(down).value()->Decode(*got[0].values, values).ok());
  }
}

TEST(Whole, ADeterministicJobTakesNoDifferences) {
  JobSpec spec = Spec();
  EXPECT_EQ(Validate(spec), OkStatus());
  spec.deterministic = true;
  EXPECT_EQ(Validate(spec).code(), Code::kInvalidArgument);
  spec.codec_down.name = "fp16";
  EXPECT_EQ(Validate(spec), OkStatus());
}

// An update of an old version is corrected by how far the parameters have moved since what its
// device computed with, which is what it held and not what the leader had.
TEST(Compensation, IsFromWhatTheWorkerHeld) {
  JobSpec spec = Spec();
  spec.samples = 400;
  spec.aggregation.mode = aggregate::Mode::kAsync;
  spec.aggregation.delay_compensation = 0.5;
  Leaders leaders(spec, {0, 0, std::vector<float>(kValues), {}});
  leaders.Order(0, BeginStream{1, kAll, static_cast<uint8_t>(aggregate::Mode::kAsync)});
  Puller puller(&leaders, 5, kAll);
  puller.Get(0, 0);
  // The first value moves most, the second too little to be sent.
  const auto push = [&](DeviceId device, uint64_t lease, int64_t version, float first,
                        float second) {
    std::vector<float> gradient(kValues);
    for (size_t i = 2; i < gradient.size(); ++i) gradient[i] = first / 2;
    gradient[0] = first;
    gradient[1] = second;
    const Lease of{.id = lease, .slot = static_cast<int64_t>(lease) - 1, .count = 4};
    leaders.Tell(0, WorkerAt(device),
                 Push{.term = 1,
                      .device = device,
                      .incarnation = 5,
                      .sequence = lease,
                      .lease = of,
                      .version = version,
                      .gradient = Packet(gradient),
                      .range = kAll,
                      .lr = 1});
    leaders.Forget();
  };
  push(9, 1, 0, -8, -1);
  ASSERT_EQ(puller.Get(0, 1).base, 0);
  const std::vector<float> held = puller.Values(1);
  ASSERT_EQ(held[1], 0) << "the parameters have 1";
  push(9, 2, 1, -8, -1);
  const std::vector<float> before(leaders.At(0).parameters().begin(),
                                  leaders.At(0).parameters().end());
  ASSERT_EQ(before[1], 2);
  push(5, 3, 1, 0, 1);
  // g + lambda g g (x - x^) = 1 + 0.5 * 1 * (2 - 0)
  EXPECT_FLOAT_EQ(leaders.At(0).parameters()[1], 2 - 2);
}

}  // namespace
}  // namespace weft::cluster
