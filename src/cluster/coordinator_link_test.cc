// Codec "auto": what steps are told to send, and how many of the job's steps each covers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <numeric>

#include "cluster/coordinator.h"
#include "cluster/testing.h"

namespace weft::cluster {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::Emitted;
using ::testing::IsEmpty;
using testing::Sent;
using ::testing::SizeIs;

constexpr Address kHub = {kCoordinatorDevice, Role::kLeader};
constexpr double kMillion = 1 << 20;  // values that the vector stands for
// Bytes a second that carry so many bits of each value, both ways, in a tenth of a second.
double RateOf(double bits) { return 2 * bits * 10 * kMillion / 8; }

// Two devices that compute six samples a second each: a batch in one second.
class Links : public ::testing::Test {
 protected:
  Links() {
    spec_.run = "run";
    spec_.samples = 100;
    spec_.batch = 12;
    spec_.trainable_count = 8;
    spec_.value_weight = kMillion / 8;
    spec_.start_workers = 2;
    spec_.share_by_speed = false;
    spec_.codec_up.name = "auto";
    spec_.codec_up.density = 0.001;
    spec_.codec_down.name = "auto";
    spec_.aggregation.most_local_steps = 4;
    spec_.aggregation.outer_lr = 1;
    spec_.aggregation.outer_momentum = 0;
  }

  void Begin() {
    coordinator_ = std::make_unique<Coordinator>(spec_, store_.get(), 0);
    Note(coordinator_->Start(now_));
    for (DeviceId id = 1; id <= 2; ++id) {
      Note(coordinator_->OnHello(now_, id, Hello{.name = "pi", .incarnation = id}));
    }
  }

  // Device 2 has a link that carries so many bits, device 1 a fast one.
  void Measure(double bits) {
    for (DeviceId id = 1; id <= 2; ++id) {
      DeviceStats stats;
      stats.sample_seconds = 1.0 / 6;
      if (bits > 0) {
        stats.up_bytes_per_second = id == 2 ? RateOf(bits) : RateOf(1000);
        stats.down_bytes_per_second = stats.up_bytes_per_second;
      }
      Note(coordinator_->Handle(now_, {id, Role::kWorker},
                                Heartbeat{.term = 1, .leases = 1, .stats = stats}));
    }
  }

  // The open step is over after so long. Returns what is done then: the next one's grants, most of
  // all.
  Actions Commit(double seconds) {
    now_ = now_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    const std::vector<Grant> grants = Sent<Grant>(std::exchange(open_, {}));
    Committed record{.term = 1, .step = grants.at(0).lease.step, .version = ++version_};
    for (const Grant& grant : grants) {
      record.samples += grant.lease.count;
      record.leases.push_back(grant.lease);
      record.devices.push_back(static_cast<DeviceId>(record.leases.size()));
    }
    record.range = {0, 8};
    Note(coordinator_->Handle(now_, kHub, record));
    return open_;
  }

  std::vector<int64_t> Steps() const {
    std::vector<int64_t> steps;
    for (const Grant& grant : Sent<Grant>(open_)) steps.push_back(grant.lease.step);
    return steps;
  }
  int64_t Samples() const {
    int64_t samples = 0;
    for (const Grant& grant : Sent<Grant>(open_)) samples += grant.lease.count;
    return samples;
  }

  // What is to be written, after the step that was committed last.
  std::vector<BeginStep> Saves() const {
    std::vector<BeginStep> saves = Sent<BeginStep>(open_);
    std::erase_if(saves, [](const BeginStep& begin) { return !begin.checkpoint; });
    return saves;
  }

  void Note(const Actions& actions) {
    std::ranges::copy(actions, std::back_inserter(open_));
    std::ranges::copy(actions, std::back_inserter(all_));
  }

  JobSpec spec_;
  TimePoint now_{};
  int64_t version_ = 0;
  Actions open_;  // since the last Commit
  Actions all_;
  std::unique_ptr<Coordinator> coordinator_;

 private:
  std::unique_ptr<CoordStore> store_ = MakeMemoryStore();
};

TEST_F(Links, BeforeTheyAreKnownStepsAreDense) {
  Begin();
  EXPECT_THAT(Steps(), ElementsAre(0, 0));
  EXPECT_EQ(Samples(), 12);
  for (const Grant& grant : Sent<Grant>(open_)) {
    EXPECT_EQ(grant.local_steps, 1);
    EXPECT_EQ(grant.density, 1);
    EXPECT_EQ(grant.value_kind, static_cast<uint8_t>(codec::ValueKind::kFloat32));
  }
  const std::vector<BeginStep> begins = Sent<BeginStep>(open_);
  ASSERT_THAT(begins, SizeIs(1));
  EXPECT_EQ(begins[0].density, 1);
}

TEST_F(Links, GrantsSayWhatEachCarries) {
  Begin();
  Measure(0.011);
  EXPECT_THAT(Sent<Grant>(open_), SizeIs(2)) << "a change waits for the next step";
  const Actions actions = Commit(1);
  const std::vector<Grant> grants = Sent<Grant>(actions);
  ASSERT_THAT(grants, SizeIs(2));
  EXPECT_EQ(grants[0].density, 1);
  EXPECT_EQ(grants[0].value_kind, static_cast<uint8_t>(codec::ValueKind::kFloat32));
  EXPECT_EQ(grants[1].density, 0.001);
  EXPECT_EQ(grants[1].value_kind, static_cast<uint8_t>(codec::ValueKind::kInt2));
  for (const Grant& grant : grants) EXPECT_EQ(grant.local_steps, 2);
  const std::vector<BeginStep> begins = Sent<BeginStep>(actions);
  ASSERT_THAT(begins, SizeIs(1));
  EXPECT_EQ(begins[0].density, 0.001) << "what the poorest gets through";
  EXPECT_EQ(begins[0].value_kind, static_cast<uint8_t>(codec::ValueKind::kInt2));
  EXPECT_EQ(begins[0].total_samples, 24);
}

// 100 samples in batches of 12 are steps 0 to 8.
TEST_F(Links, AStepOfSeveralGoesByTheLastOfThem) {
  Begin();
  Measure(0.011);
  std::vector<int64_t> steps, samples;
  while (Emitted<RunDone>(all_).empty() && steps.size() < 20) {
    ASSERT_THAT(Steps(), SizeIs(2));
    ASSERT_EQ(Steps()[0], Steps()[1]);
    steps.push_back(Steps()[0]);
    samples.push_back(Samples());
    Commit(1);
    for (const BeginStep& save : Saves()) {
      Note(coordinator_->Handle(now_, kHub, CheckpointDone{.term = 1, .step = save.step + 1}));
    }
  }
  EXPECT_THAT(steps, ElementsAre(0, 2, 4, 6, 8));
  EXPECT_THAT(samples, ElementsAre(12, 24, 24, 24, 16));
  std::vector<int> times(100);
  for (const Grant& grant : Sent<Grant>(all_)) {
    for (int64_t at = 0; at < grant.lease.count; ++at) {
      ++times.at(static_cast<size_t>(grant.lease.begin + at));
    }
  }
  EXPECT_THAT(times, Each(1));
  const std::vector<EpochDone> epochs = Emitted<EpochDone>(all_);
  ASSERT_THAT(epochs, SizeIs(1));
  EXPECT_EQ(epochs[0].next_step, 9);
  EXPECT_EQ(epochs[0].lost + epochs[0].duplicated, 0);
}

TEST_F(Links, CheckpointsAreNotJumpedOver) {
  spec_.checkpoint_every = 3;
  Begin();
  Measure(0.011);
  std::vector<int64_t> saved_after;
  for (int i = 0; i < 4; ++i) {
    const int64_t step = Steps().at(0);
    Commit(1);
    for (const BeginStep& save : Saves()) {
      EXPECT_EQ(save.step, step);
      saved_after.push_back(step);
    }
  }
  EXPECT_THAT(saved_after, ElementsAre(2, 6)) << "steps 5 and 6 are one: the sixth is in it";
}

TEST_F(Links, AChangeIsToldOnce) {
  spec_.samples = 1200;
  Begin();
  Measure(0.011);
  for (int i = 0; i < 4; ++i) {
    Commit(1);
    Measure(0.011 + 0.0001 * i);
  }
  ASSERT_THAT(Emitted<LinksChanged>(all_), SizeIs(1));
  const LinksChanged changed = Emitted<LinksChanged>(all_)[0];
  EXPECT_EQ(changed.local_steps, 2);
  EXPECT_EQ(changed.dense, 1);
  EXPECT_EQ(changed.devices, 2);
  EXPECT_THAT(changed.poorest, ::testing::HasSubstr("0.1 % of the values"));
  Measure(1000);
  Commit(1);
  ASSERT_THAT(Emitted<LinksChanged>(all_), SizeIs(2));
  EXPECT_EQ(Emitted<LinksChanged>(all_)[1].local_steps, 1);
  EXPECT_EQ(Emitted<LinksChanged>(all_)[1].dense, 2);
}

// So short that links carry all, whatever devices measure of them.
TEST_F(Links, ShortStepsShowThatLinksCarryAll) {
  spec_.samples = 1200;
  Begin();
  Measure(0);
  for (int i = 0; i < 5; ++i) {
    Commit(1.05);
    Measure(i < 3 ? 0 : 1.6);
  }
  EXPECT_THAT(Emitted<LinksChanged>(all_), IsEmpty());
  for (const Grant& grant : Sent<Grant>(all_)) {
    EXPECT_EQ(grant.density, 1);
    EXPECT_EQ(grant.local_steps, 1);
  }
}

TEST_F(Links, LongStepsDoNot) {
  spec_.samples = 1200;
  Begin();
  Measure(0);
  for (int i = 0; i < 5; ++i) {
    Commit(3);
    Measure(i < 3 ? 0 : 1.6);
  }
  ASSERT_THAT(Emitted<LinksChanged>(all_), SizeIs(1));
  const std::vector<Grant> grants = Sent<Grant>(open_);
  ASSERT_THAT(grants, SizeIs(2));
  EXPECT_EQ(grants[1].density, 0.25);
}

// Too few steps to judge by: only what is far too slow is believed.
TEST_F(Links, AtTheStartOnlyWhatIsFarTooSlowIsBelieved) {
  Begin();
  Measure(3.2);  // all values would take as long as the computing
  Commit(1);
  EXPECT_THAT(Emitted<LinksChanged>(all_), IsEmpty());
  Measure(0.5);
  Commit(1);
  EXPECT_THAT(Emitted<LinksChanged>(all_), SizeIs(1));
}

TEST_F(Links, WithoutMostLocalStepsOnlyTheBytesChange) {
  spec_.aggregation = {};
  Begin();
  Measure(0.011);
  Commit(1);
  EXPECT_THAT(Steps(), ElementsAre(1, 1));
  const std::vector<Grant> grants = Sent<Grant>(open_);
  ASSERT_THAT(grants, SizeIs(2));
  EXPECT_EQ(grants[1].density, 0.001);
  for (const Grant& grant : grants) EXPECT_EQ(grant.local_steps, 0) << "as the job says";
}

}  // namespace
}  // namespace weft::cluster
