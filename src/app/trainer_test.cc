#include "app/trainer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "app/job_spec.h"
#include "config/run_config.h"
#include "engine/local_steps.h"

namespace weft::app {
namespace {

using cluster::Payload;
using cluster::Range;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Linear layers with nothing between.
constexpr char kLinear[] = R"(
layers = [
  {type = "flatten"},
  {type = "linear", out = 4},
  {type = "linear", out = 4},
  {type = "linear", out = "classes"},
]
)";

std::shared_ptr<const Job> MakeJob(const std::string& model, const std::string& rest = "") {
  const std::string preset = model.starts_with("\n") ? "lenet5" : model;
  const auto config =
      config::FromJson(R"({"job": {"epochs": 1, "batch": 16, "name": "tiny")" + rest + R"(},
          "model": {"preset": ")" +
                           preset + R"("},
          "cluster": {"kernels": "onednn"},
          "optimizer": {"lr": 0.1, "momentum": 0.9},
          "data": {"train": "synthetic:shapes?n=64"}})",
                       "job");
  CHECK(config.ok()) << config.status().ToString();
  auto opened = OpenJob(*config, {.test_data = false});
  CHECK(opened.ok()) << opened.status().ToString();
  if (preset == model) return *opened;
  auto job = std::make_shared<Job>(**opened);
  const auto doc = base::ParseToml(model, "m.toml");
  auto graph = model::GraphFromDoc(
      *doc, "m.toml", {.input = job->train->sample_shape(), .classes = job->train->classes()});
  CHECK(graph.ok()) << graph.status().ToString();
  job->graph = std::make_shared<const model::Graph>(std::move(graph).value());
  return job;
}

// For MakeJob: a table [link] behind [job].
std::string Link(const std::string& link) { return R"(}, "link": {)" + link; }

std::span<const float> Cut(std::span<const float> flat, const Range& range) {
  return flat.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.count));
}

Payload Packed(std::span<const float> values) {
  auto packet = std::make_shared<Bytes>();
  CHECK(codec::MakeCodec("dense").value()->Encode(values, {}, packet.get()).ok());
  return packet;
}

// The dense packets of disjoint ranges as one vector; NaN where there is none.
class Collected {
 public:
  explicit Collected(const Job& job)
      : values(static_cast<size_t>(job.graph->parameter_count()), NAN) {}
  void Add(const Range& range, const Payload& packet) {
    const auto stretch = std::span(values).subspan(static_cast<size_t>(range.begin),
                                                   static_cast<size_t>(range.count));
    CHECK(codec::MakeCodec("dense").value()->Decode(*packet, stretch).ok());
    ranges.push_back(range);
  }
  void Add(const cluster::Worker::Update& update) {
    for (const auto& [range, packet] : update.parts) Add(range, packet);
  }

  std::vector<float> values;
  std::vector<Range> ranges;
};

class TrainerTest : public testing::Test {
 protected:
  explicit TrainerTest(std::shared_ptr<const Job> job = MakeJob("shapes-cnn"))
      : job_(std::move(job)),
        size_(job_->graph->parameter_count()),
        start_(StartParameters(*job_).value()),
        trainer_(Trainer::Make(job_, {}).value()) {}

  cluster::Compute Whole() const {
    return {.term = 1,
            .lease = {.id = 1, .step = 7, .begin = 8, .count = 12},
            .pieces = {{{0, size_}, 0, Packed(start_)}},
            .ranges = {{0, size_}},
            .lr = 0.05};
  }
  // In pieces, with values or without.
  std::vector<cluster::Piece> Pieces(const std::vector<Range>& ranges, bool with_values) const {
    std::vector<cluster::Piece> pieces;
    for (const Range& range : ranges) {
      pieces.push_back({range, 0, with_values ? Packed(Cut(start_, range)) : nullptr});
    }
    return pieces;
  }
  std::vector<Range> Thirds() const {
    const int64_t third = size_ / 3;  // no border of a layer
    return {{0, third}, {third, third}, {2 * third, size_ - 2 * third}};
  }
  data::Batch BatchOf(const cluster::Lease& lease) const {
    data::Batch batch;
    data::ReadBatch(*job_->train, job_->order,
                    {.epoch = lease.epoch, .begin = lease.begin, .count = lease.count}, &batch);
    return batch;
  }
  std::unique_ptr<engine::Engine> MakeEngine() const {
    return engine::Engine::Create(job_->graph,
                                  {.seed = static_cast<uint64_t>(job_->config.job.seed)})
        .value();
  }
  std::vector<float> Gradient(engine::StepResult* result = nullptr) const {
    const auto engine = MakeEngine();
    CHECK(engine->Prepare(plan::Mode::kTrain, 12).ok());
    engine->SetParameters(start_);
    const auto trained = engine->Train(BatchOf(Whole().lease));
    CHECK(trained.ok());
    if (result != nullptr) *result = *trained;
    std::vector<float> gradient(start_.size());
    engine->GetGradient(gradient);
    return gradient;
  }
  // Ranges of the hand-overs, in order, all values in `got`.
  TrainerHooks Collect(Collected* got) const {
    return {.on_part = [got](const Range& range, const Payload& packet, double,
                             int64_t) { got->Add(range, packet); },
            .await = {}};
  }

  const std::shared_ptr<const Job> job_;
  const int64_t size_;
  std::vector<float> start_;
  std::unique_ptr<Trainer> trainer_;
};

TEST_F(TrainerTest, TheUpdateIsTheEnginesGradient) {
  engine::StepResult want;
  const std::vector<float> gradient = Gradient(&want);
  const auto update = trainer_->Compute(Whole());
  ASSERT_TRUE(update.ok()) << update.status().ToString();
  Collected got(*job_);
  got.Add(*update);
  EXPECT_EQ(got.values, gradient);
  EXPECT_THAT(got.ranges, ElementsAre(Range{0, size_}));
  EXPECT_EQ(update->loss_sum, want.loss_sum);
  EXPECT_EQ(update->correct, want.correct);
  EXPECT_GT(update->samples_per_second, 0);
}

TEST_F(TrainerTest, APlanIsTimedApartFromItsLease) {
  cluster::Compute compute = Whole();
  const auto first = trainer_->Compute(compute);
  const auto again = trainer_->Compute(compute);
  compute.lease.count = 11;
  const auto other = trainer_->Compute(compute);
  ASSERT_TRUE(first.ok() && again.ok() && other.ok());
  EXPECT_GT(first->plan_seconds, 0);
  EXPECT_EQ(again->plan_seconds, 0) << "it has that plan";
  EXPECT_GT(other->plan_seconds, 0);
  for (const auto* update : {&*first, &*again, &*other}) EXPECT_GT(update->seconds, 0);
}

TEST_F(TrainerTest, RangesLeaveAsSoonAsTheyAreFinal) {
  engine::StepResult want;
  const std::vector<float> gradient = Gradient(&want);
  cluster::Compute compute = Whole();
  compute.ranges = Thirds();
  Collected got(*job_);
  TrainerHooks hooks;
  hooks.on_part = [&](const Range& range, const Payload& packet, double loss_sum, int64_t correct) {
    got.Add(range, packet);
    EXPECT_EQ(loss_sum, want.loss_sum);
    EXPECT_EQ(correct, want.correct);
  };
  const auto update = trainer_->Compute(compute, hooks);
  ASSERT_TRUE(update.ok()) << update.status().ToString();
  EXPECT_THAT(got.ranges, ElementsAre(compute.ranges[2], compute.ranges[1]))
      << "the last layers first; the first ones are final with the result";
  got.Add(*update);
  EXPECT_THAT(got.ranges, SizeIs(3));
  EXPECT_EQ(got.values, gradient);
  // All at once for those who do not listen.
  const auto quiet = trainer_->Compute(compute);
  ASSERT_TRUE(quiet.ok());
  Collected all(*job_);
  all.Add(*quiet);
  EXPECT_THAT(all.ranges, SizeIs(3));
  EXPECT_EQ(all.values, gradient);
}

TEST_F(TrainerTest, BeginsWhileLaterPiecesAreOnTheirWay) {
  const std::vector<float> gradient = Gradient();
  cluster::Compute compute = Whole();
  const std::vector<cluster::Piece> values = Pieces(Thirds(), true);
  compute.pieces = Pieces(Thirds(), false);
  compute.pieces[0] = values[0];
  std::vector<size_t> awaited;
  const auto update = trainer_->Compute(compute, {.on_part = {}, .await = [&](size_t piece) {
                                                    awaited.push_back(piece);
                                                    return values[piece].values;
                                                  }});
  ASSERT_TRUE(update.ok()) << update.status().ToString();
  EXPECT_THAT(awaited, ElementsAre(1, 2));
  Collected got(*job_);
  got.Add(*update);
  EXPECT_EQ(got.values, gradient);
}

TEST_F(TrainerTest, APieceThatDoesNotComeCancelsTheLease) {
  cluster::Compute compute = Whole();
  compute.pieces = Pieces(Thirds(), true);
  compute.pieces[1].values = nullptr;
  EXPECT_EQ(trainer_->Compute(compute).status().code(), Code::kCancelled);
  compute.pieces[1].values = std::make_shared<const Bytes>(Bytes{1, 2, 3});
  const Status damaged = trainer_->Compute(compute).status();
  EXPECT_EQ(damaged.code(), Code::kDataLoss);
  EXPECT_THAT(damaged.message(), HasSubstr("parameters"));
  EXPECT_TRUE(trainer_->Compute(Whole()).ok()) << "the next lease is computed as ever";
}

TEST_F(TrainerTest, RefusesPiecesAndRangesThatDoNotFit) {
  const auto code = [&](const std::vector<Range>& pieces, const std::vector<Range>& ranges) {
    cluster::Compute compute = Whole();
    compute.pieces = Pieces(pieces, false);
    compute.ranges = ranges;
    return trainer_->Compute(compute).status().code();
  };
  const Range all = {0, size_};
  EXPECT_EQ(code({{0, size_ - 1}}, {all}), Code::kInvalidArgument);
  EXPECT_EQ(code({{0, 5}, {6, size_ - 6}}, {all}), Code::kInvalidArgument);
  EXPECT_EQ(code({{0, 5}, {5, size_}}, {all}), Code::kInvalidArgument);
  EXPECT_EQ(code({all}, {{1, size_}}), Code::kInvalidArgument);
  EXPECT_EQ(code({all}, {{-1, 2}}), Code::kInvalidArgument);
  EXPECT_EQ(code({all}, {{INT64_MAX, 2}}), Code::kInvalidArgument);
}

TEST_F(TrainerTest, NothingLeavesIfTheLossIsNotFinite) {
  start_[static_cast<size_t>(job_->graph->trainable_count()) - 1] = NAN;  // a bias of the logits
  cluster::Compute compute = Whole();
  compute.ranges = Thirds();
  Collected got(*job_);
  const Status status = trainer_->Compute(compute, Collect(&got)).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("step 7: the loss is nan"));
  EXPECT_THAT(got.ranges, IsEmpty());
}

class CodecTrainerTest : public TrainerTest {
 protected:
  // A trainer of a job with this [link], and its updates as a leader has them.
  void Use(const std::string& link) {
    linked_ = MakeJob("shapes-cnn", Link(link));
    codec_ = codec::MakeCodec(UpCodecOf(*linked_)).value();
    trainer_ = Trainer::Make(linked_, {.run = "r"}).value();
  }
  std::vector<float> Sent(const cluster::Compute& compute) {
    const auto update = trainer_->Compute(compute);
    CHECK(update.ok()) << update.status().ToString();
    std::vector<float> sent(start_.size(), NAN);
    for (const auto& [range, packet] : update->parts) {
      const codec::Place place = {.begin = range.begin, .run = cluster::RunTag("r")};
      const auto part = std::span(sent).subspan(static_cast<size_t>(range.begin),
                                                static_cast<size_t>(range.count));
      CHECK(codec_->Decode(place, *packet, part).ok());
    }
    return sent;
  }
  size_t trained() const { return static_cast<size_t>(job_->graph->trainable_count()); }
  static double NormOf(std::span<const float> values) {
    double sum = 0;
    for (const float value : values) sum += double{value} * value;
    return std::sqrt(sum);
  }

  std::shared_ptr<const Job> linked_;
  std::unique_ptr<codec::Codec> codec_;
};

TEST_F(CodecTrainerTest, AllValuesAsFp32AreTheGradientItself) {
  const std::vector<float> gradient = Gradient();
  for (const char* codec : {"chunk-topk", "dgc"}) {
    Use(fmt::format(R"("codec": "{}", "density": 1, "values": "fp32")", codec));
    cluster::Compute compute = Whole();
    EXPECT_EQ(Sent(compute), gradient) << codec;
    compute.ranges = Thirds();
    compute.lease.id = 2;
    EXPECT_EQ(Sent(compute), gradient) << codec << ", with nothing left of the first";
  }
}

// With momentum m and gradient g in both steps: first velocity g, sent g + m g; then velocity
// m g + g, or g where the first was sent, and the rest of the first comes along.
TEST_F(CodecTrainerTest, MomentumIsAddedUpBeforeValuesAreChosenAndForgottenWhereTheyAreSent) {
  Use(R"("codec": "auto", "most_local_steps": 1)");
  const std::vector<float> gradient = Gradient();
  cluster::Compute compute = Whole();
  compute.target = {.density = 0.005, .values = codec::ValueKind::kFloat32};
  const std::vector<float> first = Sent(compute);
  compute.lease.id = 2;
  compute.target = {.density = 1, .values = codec::ValueKind::kFloat32};
  const std::vector<float> second = Sent(compute);
  const double m = 0.9;
  size_t sent = 0;
  for (size_t i = 0; i < trained(); ++i) {
    const double g = gradient[i];
    const double corrected = g + m * g;
    const bool was_sent = first[i] != 0;
    sent += was_sent ? 1 : 0;
    const double velocity = was_sent ? g : m * g + g;
    const double left = was_sent ? 0 : corrected;
    EXPECT_NEAR(first[i], was_sent ? corrected : 0, 1e-6 * std::abs(corrected)) << i;
    EXPECT_NEAR(second[i], g + m * velocity + left, 2e-6 * std::abs(g) + 1e-12) << i;
  }
  EXPECT_GT(sent, trained() / 200);
  EXPECT_LT(sent, trained() / 2);
}

TEST_F(CodecTrainerTest, AGradientIsClippedToItsShare) {
  const std::vector<float> gradient = Gradient();
  const double norm = NormOf(std::span(gradient).first(trained()));
  // The lease is 12 of a batch of 16: its mean may be longer than that of all.
  const double clip = 0.5 * norm * std::sqrt(12.0 / 16);
  Use(fmt::format(R"("clip": {})", clip));
  const std::vector<float> sent = Sent(Whole());
  EXPECT_NEAR(NormOf(std::span(sent).first(trained())), 0.5 * norm, 1e-5 * norm);
  for (size_t i = 0; i < trained(); ++i) {
    EXPECT_NEAR(sent[i], 0.5 * gradient[i], 1e-5 * std::abs(gradient[i])) << i;
  }
  EXPECT_TRUE(std::ranges::equal(std::span(sent).subspan(trained()),
                                 std::span(gradient).subspan(trained())))
      << "statistics are no gradient";
}

TEST_F(CodecTrainerTest, ARangeIsClippedToItsPartOfTheNorm) {
  Use(R"("clip": 1e-6)");  // shorter than any range
  cluster::Compute compute = Whole();
  compute.ranges = Thirds();
  const std::vector<float> sent = Sent(compute);
  for (const Range& range : compute.ranges) {
    const auto count = std::min<int64_t>(range.count, job_->graph->trainable_count() - range.begin);
    const double part = static_cast<double>(count) / static_cast<double>(trained());
    const double most = 1e-6 * std::sqrt(part * 16 / 12);
    EXPECT_NEAR(NormOf(Cut(sent, {range.begin, count})), most, 1e-4 * most);
  }
}

TEST_F(CodecTrainerTest, AShorterGradientIsNotClipped) {
  const std::vector<float> gradient = Gradient();
  Use(fmt::format(R"("clip": {})", NormOf(gradient)));
  EXPECT_EQ(Sent(Whole()), gradient);
}

class LinearTrainerTest : public TrainerTest {
 protected:
  LinearTrainerTest() : TrainerTest(MakeJob(kLinear)) {}
};

TEST_F(LinearTrainerTest, ARangeWhoseGradientIsNotFiniteDoesNotLeave) {
  const auto fill = [&](const model::Parameter& parameter, int64_t count, float value) {
    std::fill_n(start_.begin() + parameter.offset, count, value);
  };
  const auto& parameters = job_->graph->parameters();  // a weight and a bias a layer
  // What zeros make of these are zeros, but a gradient through both is too large for a float.
  std::ranges::fill(start_, 0.0f);
  fill(parameters[2], 16, 3e38f);
  fill(parameters[4], 4, 1e38f);  // of the first class
  const int64_t second = parameters[2].offset;
  cluster::Compute compute = Whole();
  compute.ranges = {{0, second}, {second, size_ - second}};
  Collected got(*job_);
  const Status status = trainer_->Compute(compute, Collect(&got)).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("step 7: the gradient is nan"));
  EXPECT_THAT(got.ranges, ElementsAre(compute.ranges[1])) << "its gradient is finite";
}

TEST_F(LinearTrainerTest, LocalStepsSendWhatTheyChange) {
  trainer_ = Trainer::Make(job_, {.local_steps = 3}).value();
  const auto engine = MakeEngine();
  const engine::LocalOptions local = {
      .steps = 3, .optimizer = OptimizerOf(job_->config.optimizer), .lr = 0.05};
  std::vector<float> want(start_.size());
  cluster::Compute compute = Whole();
  compute.ranges = Thirds();
  // The second lease goes on with the velocity of the first.
  for (int round = 0; round < 2; ++round) {
    const auto result =
        engine::TrainLocally(engine.get(), BatchOf(compute.lease), local, start_, want);
    ASSERT_TRUE(result.ok());
    const auto update = trainer_->Compute(compute);
    ASSERT_TRUE(update.ok()) << update.status().ToString();
    EXPECT_EQ(update->loss_sum, result->loss_sum);
    Collected got(*job_);
    got.Add(*update);
    EXPECT_EQ(got.values, want) << round;
  }
}

TEST_F(LinearTrainerTest, ALeaseSaysHowManyLocalStepsToMake) {
  trainer_ = Trainer::Make(job_, {.adapts_local_steps = true}).value();
  const auto engine = MakeEngine();
  engine::LocalOptions local = {
      .optimizer = OptimizerOf(job_->config.optimizer), .lr = 0.05, .final_statistics = true};
  std::vector<float> want(start_.size());
  cluster::Compute compute = Whole();
  for (const int64_t steps : {1, 4, 2, 0}) {
    compute.local_steps = steps;
    local.steps = std::max<int64_t>(steps, 1);  // 0: as the job says
    ASSERT_TRUE(
        engine::TrainLocally(engine.get(), BatchOf(compute.lease), local, start_, want).ok());
    const auto update = trainer_->Compute(compute);
    ASSERT_TRUE(update.ok()) << update.status().ToString();
    Collected got(*job_);
    got.Add(*update);
    EXPECT_EQ(got.values, want) << steps;
  }
}

TEST_F(LinearTrainerTest, LocalStepsOfADeterministicJobDependOnTheLeaseAlone) {
  const auto job = MakeJob(kLinear, R"(, "deterministic": true)");
  const auto trainer = Trainer::Make(job, {.local_steps = 3}).value();
  const auto first = trainer->Compute(Whole());
  const auto second = trainer->Compute(Whole());
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first->parts.at(0).gradient, *second->parts.at(0).gradient);
}

}  // namespace
}  // namespace weft::app
