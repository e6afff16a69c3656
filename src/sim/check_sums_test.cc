// The checkers of sums, each against a real encoder or leader, and against one that is meddled
// with.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/update_encoder.h"
#include "sim/checker_testing.h"

namespace weft::sim {
namespace {

using checking::Job;
using checking::kCoordinator;
using checking::kLeader;
using checking::LeaseOf;
using checking::Story;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// ---- gradient mass

class GradientMass : public testing::Test {
 protected:
  static cluster::JobSpec JobWith(const std::string& codec) {
    cluster::JobSpec spec = Job();
    spec.codec_up.name = codec;
    return spec;
  }
  static cluster::UpdateEncoder Encoder(const std::string& codec) {
    return {codec::MakeCodec(codec).value(), {.size = 16, .residual_size = 8}};
  }
  // Values that fp16 cannot hold.
  static std::vector<float> Gradient(int k) {
    std::vector<float> gradient(16);
    for (size_t i = 0; i < 16; ++i) gradient[i] = 1.0f / static_cast<float>(3 + k + 2 * i);
    return gradient;
  }
  static void Compute(Story& story, cluster::UpdateEncoder& encoder, int64_t step, int k) {
    const std::vector<float> gradient = Gradient(k);
    cluster::Lease lease = LeaseOf(step, 0);
    lease.count += k;  // so that the residual changes its unit
    const cluster::Compute compute{.term = 1, .lease = lease};
    const cluster::Payload packet = encoder.Encode(1, lease, gradient).value();
    story->OnComputed(story.Next(), 0, compute, gradient, {{{}, packet}}, encoder);
  }
  static void Settle(Story& story, cluster::UpdateEncoder& encoder, int64_t step, bool told,
                     bool applied) {
    encoder.Settle(1, LeaseOf(step, 0), told);
    story->OnSettled(story.Next(), 0, {1, LeaseOf(step, 0), applied}, encoder);
  }
};

TEST_F(GradientMass, AcceptsWhatTheEncoderDoes) {
  Story story(MakeGradientMassChecker(JobWith("fp16")));
  cluster::UpdateEncoder encoder = Encoder("fp16");
  story->OnDeviceUp(story.Next(), 0, 7);
  for (int k = 0; k < 6; ++k) Compute(story, encoder, k, k);
  Settle(story, encoder, 0, true, true);
  Settle(story, encoder, 1, false, false);
  Settle(story, encoder, 3, false, false);
  Compute(story, encoder, 2, 4);  // again: the first is void
  Settle(story, encoder, 2, true, true);
  EXPECT_NE(encoder.residual()[0], 0.0f);
  EXPECT_THAT(story.Found(), IsEmpty());
}

TEST_F(GradientMass, SettlesRangeByRange) {
  Story story(MakeGradientMassChecker(JobWith("fp16")));
  cluster::UpdateEncoder encoder = Encoder("fp16");
  const std::vector<float> gradient = Gradient(0);
  const cluster::Lease lease = LeaseOf(0, 0);
  std::vector<cluster::Worker::Part> parts;
  for (const cluster::Range range : {cluster::Range{0, 5}, cluster::Range{5, 11}}) {
    const auto part = std::span(gradient).subspan(static_cast<size_t>(range.begin),
                                                  static_cast<size_t>(range.count));
    parts.push_back({range, encoder.Encode(1, lease, range, part).value()});
  }
  story->OnComputed(story.Next(), 0, {.term = 1, .lease = lease}, gradient, parts, encoder);
  encoder.Settle(1, lease, parts[0].range, false);
  story->OnSettled(story.Next(), 0, {1, lease, false, parts[0].range}, encoder);
  encoder.Settle(1, lease, parts[1].range, true);
  story->OnSettled(story.Next(), 0, {1, lease, true, parts[1].range}, encoder);
  EXPECT_THAT(story.Found(), IsEmpty());
  parts.pop_back();
  story->OnComputed(story.Next(), 0, {.term = 1, .lease = LeaseOf(1, 0)}, gradient, parts, encoder);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("the packets cannot be decoded")));
}

TEST_F(GradientMass, FindsARefusedUpdateWhoseResidualIsGone) {
  Story story(MakeGradientMassChecker(JobWith("fp16")));
  cluster::UpdateEncoder encoder = Encoder("fp16");
  Compute(story, encoder, 0, 0);
  Settle(story, encoder, 0, true, false);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("device 0, lease 1 settled: residual 0 is")));
}

TEST_F(GradientMass, FindsAChangedPacketOfALosslessCodec) {
  Story story(MakeGradientMassChecker(JobWith("dense")));
  cluster::UpdateEncoder encoder = Encoder("dense");
  Compute(story, encoder, 0, 0);
  EXPECT_THAT(story.Found(), IsEmpty());
  const cluster::Payload other = encoder.Encode(1, LeaseOf(1, 0), Gradient(1)).value();
  story->OnComputed(story.Next(), 0, {.term = 1, .lease = LeaseOf(1, 0)}, Gradient(2),
                    {{{}, other}}, encoder);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("the packet is not that of its gradient")));
}

TEST_F(GradientMass, ForgetsAProcessThatDied) {
  Story story(MakeGradientMassChecker(JobWith("fp16")));
  cluster::UpdateEncoder encoder = Encoder("fp16");
  Compute(story, encoder, 0, 0);
  cluster::UpdateEncoder anew = Encoder("fp16");
  story->OnDeviceUp(story.Next(), 0, 8);
  Compute(story, anew, 1, 1);
  EXPECT_THAT(story.Found(), IsEmpty());
}

// ---- applied sum

class AppliedSum : public testing::Test {
 protected:
  // A real leader, whose messages the checker hears; `meddle` may change a push on its way to the
  // checker.
  void Run(void (*meddle)(cluster::Push*)) {
    story_.HubRests(*leader_);
    for (int64_t step = 0; step < 4; ++step) {
      if (step == 2) Restart();
      Tell(kCoordinator, cluster::BeginStep{.term = term_,
                                            .step = step,
                                            .total_samples = 8,
                                            .leases = {LeaseOf(step, 0), LeaseOf(step, 1)},
                                            .lr = 0.3,
                                            .version = step});
      for (cluster::DeviceId device : {1u, 2u}) {
        cluster::Push push = Made(device, step);
        cluster::Push seen = push;
        meddle(&seen);
        story_.Send({device, cluster::Role::kWorker}, kLeader, seen);
        Tell({device, cluster::Role::kWorker}, push);
      }
    }
  }
  cluster::Push Made(cluster::DeviceId device, int64_t step) {
    auto packet = std::make_shared<Bytes>();
    const std::vector<float> gradient(16, 0.25f * static_cast<float>(device + step));
    CHECK(codec::MakeCodec("dense").value()->Encode(gradient, {}, packet.get()).ok());
    return {.term = term_,
            .device = device,
            .incarnation = 5,
            .sequence = static_cast<uint64_t>(step) + 1,
            .lease = LeaseOf(step, device - 1),
            .version = step,
            .gradient = packet};
  }
  void Tell(cluster::Address from, const cluster::Message& message) {
    for (const cluster::Action& action : leader_->Handle({}, from, message)) {
      if (const auto* send = std::get_if<cluster::Send>(&action)) {
        story_.Send(kLeader, send->to, send->message);
      } else if (const auto* save = std::get_if<cluster::SaveCheckpoint>(&action)) {
        saved_ = *save->snapshot;
      }
    }
    story_.HubRests(*leader_);
  }
  void Restart() {
    Tell(kCoordinator, cluster::BeginStep{.term = term_, .step = 1, .checkpoint = true});
    leader_ = cluster::Leader::Make(job_, saved_).value();
    story_->OnHubStarted(story_.Next(), ++term_, saved_.step);
    story_.HubRests(*leader_);
  }

  cluster::JobSpec job_ = Job();
  Story story_{MakeAppliedSumChecker(job_)};
  std::unique_ptr<cluster::Leader> leader_ = cluster::Leader::Make(job_, ToyStart(job_)).value();
  cluster::Snapshot saved_;
  uint64_t term_ = 1;
};

TEST_F(AppliedSum, AcceptsALeadersStepsAndItsRestart) {
  Run([](cluster::Push*) {});
  EXPECT_EQ(leader_->version(), 4);
  EXPECT_THAT(story_.Found(), IsEmpty());
}

TEST_F(AppliedSum, FindsAnUpdateOfTheWrongWeight) {
  Run([](cluster::Push* push) {
    if (push->lease == LeaseOf(1, 0)) push->lease.count = 5;
  });
  EXPECT_THAT(
      story_.Found(),
      testing::Contains(HasSubstr("step 1: 9 samples are acknowledged as applied; want 8")));
  EXPECT_THAT(story_.Found(), testing::Contains(HasSubstr("version 2: parameter 0 is")));
}

TEST_F(AppliedSum, FindsAStateThatARestartChanged) {
  Run([](cluster::Push*) {});
  saved_.parameters[3] += 1e-6f;
  saved_.step = saved_.version = 2;
  leader_ = cluster::Leader::Make(job_, saved_).value();
  story_->OnHubStarted(story_.Next(), 3, 2);
  story_.HubRests(*leader_);
  EXPECT_THAT(story_.Found(),
              ElementsAre(HasSubstr("goes on from version 2 with parameters that it never had")));
}

}  // namespace
}  // namespace weft::sim
