#include "app/job_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/job.h"
#include "app/job_spec.h"
#include "app/trainer.h"
#include "cluster/sample_store.h"
#include "cluster/testing.h"
#include "codec/codec.h"
#include "data/sample_packet.h"

namespace weft::app {
namespace {

using ::testing::HasSubstr;

config::RunConfig Config(const std::string& data = R"("crop_pad": 2, "flip": true)") {
  auto config = config::FromJson(
      R"({"job": {"epochs": 1, "batch": 16, "name": "tiny", "deterministic": true},
          "model": {"preset": "lenet5"},
          "data": {"train": "synthetic:shapes?n=64", )" +
          data + "}}",
      "job");
  CHECK(config.ok()) << config.status().ToString();
  return *config;
}

std::shared_ptr<const Job> Open(const config::RunConfig& config, const OpenJobOptions& options) {
  auto job = OpenJob(config, options);
  CHECK(job.ok()) << job.status().ToString();
  return *job;
}

// The job as a device gets it that the store feeds.
JobText TextOf(const Job& job) {
  const auto spec = JobSpecOf(job, {.run = "r", .feed_samples = true});
  EXPECT_EQ(spec.fed_sample_bytes, 4 + 3 * 32 * 32);
  const auto text = ReadJobText(spec.job, "the coordinator's job");
  CHECK(text.ok()) << text.status().ToString();
  return *text;
}

std::string ErrorOf(std::string json, const std::string& from, const std::string& to) {
  const size_t at = json.find(from);
  CHECK(at != std::string::npos) << from << " in " << json;
  json.replace(at, from.size(), to);
  return std::string(ReadJobText(json, "job").status().message());
}

TEST(JobText, SaysWhatADeviceMustKnow) {
  const auto job = Open(Config(), {.test_data = false});
  const JobText text = TextOf(*job);
  EXPECT_EQ(text.config, job->config);
  ASSERT_TRUE(text.fed.has_value());
  EXPECT_EQ(text.fed->facts, data::FactsOf(*job->source));
  EXPECT_EQ(text.fed->sample_bytes, 4 + 3 * 32 * 32);
}

TEST(JobText, IsTheConfigWhereNothingIsFed) {
  const auto job = Open(Config(), {.test_data = false});
  const auto spec = JobSpecOf(*job, {.run = "r"});
  EXPECT_EQ(spec.job, job->config.ToJson());
  EXPECT_EQ(spec.fed_sample_bytes, 0);
  EXPECT_FALSE(ReadJobText(spec.job, "job")->fed.has_value());
}

TEST(JobText, RefusesWhatDescribesNoData) {
  const auto job = Open(Config(), {.test_data = false});
  const std::string json = JobSpecOf(*job, {.run = "r", .feed_samples = true}).job;
  EXPECT_THAT(ErrorOf(json, "\"samples\":64", "\"samples\":0"), HasSubstr("fed.samples"));
  EXPECT_THAT(ErrorOf(json, "\"samples\":64", "\"samples\":99999999999"), HasSubstr("fed.samples"));
  EXPECT_THAT(ErrorOf(json, "[3,32,32]", "[3,32]"), HasSubstr("fed.shape"));
  EXPECT_THAT(ErrorOf(json, "[3,32,32]", "[65536,65536,65536]"), HasSubstr("fed.shape"));
  EXPECT_THAT(ErrorOf(json, "[3,32,32]", "[3,0,32]"), HasSubstr("fed.shape"));
  EXPECT_THAT(ErrorOf(json, "\"feature_axis\":0", "\"feature_axis\":3"),
              HasSubstr("fed.feature_axis"));
  EXPECT_THAT(ErrorOf(json, "\"class_names\":[]", "\"class_names\":[\"a\"]"),
              HasSubstr("fed.class_names"));
  EXPECT_THAT(ErrorOf(json, "\"sample_bytes\"", "\"sample_byte\""), HasSubstr("fed.sample_byte"));
}

TEST(OpenJob, OfFedSamplesReadsNoFiles) {
  const auto job = Open(Config(), {.test_data = false});
  JobText text = TextOf(*job);
  text.config.data.train = "idx:nowhere";
  const auto fed = Open(text.config, {.test_data = false, .fed = text.fed->facts});
  ASSERT_NE(fed->fed, nullptr);
  EXPECT_EQ(fed->train->size(), 64);
  EXPECT_EQ(fed->graph->parameter_count(), job->graph->parameter_count());
  text.config.data.normalise.mean.clear();
  const auto unmeasured = OpenJob(text.config, {.test_data = false, .fed = text.fed->facts});
  EXPECT_EQ(unmeasured.status().code(), Code::kInvalidArgument);
}

TEST(OpenJob, CutsLocalDataIntoShards) {
  config::RunConfig config = Config();
  config.job.deterministic = false;
  config.cluster.workers = 4;
  config.data.placement = "local";
  config.data.partition = "classes:3";
  const auto job = Open(config, {.test_data = false});
  const auto spec = JobSpecOf(*job, {.run = "r"});
  ASSERT_EQ(spec.shard_samples.size(), 4u);
  EXPECT_EQ(job->order.size(), 64);
  std::set<int32_t> labels;
  const data::BatchRange first{.epoch = 1, .begin = 0, .count = spec.shard_samples[0]};
  for (const int64_t index : job->order.Indices(first)) labels.insert(job->source->Label(index));
  EXPECT_EQ(labels.size(), 3u);
  // A device works out the same from what it is told.
  const auto device = Open(ReadJobText(spec.job, "job")->config, {.test_data = false});
  EXPECT_EQ(device->order.Indices(first), job->order.Indices(first));
  config.cluster.workers = 65;
  const auto wrong = OpenJob(config, {.test_data = false});
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("65 shards for 64 samples"));
}

// A device that is fed through cache, store and packets computes what one with the files does.
class FedTraining : public ::testing::Test {
 protected:
  void SetUp() override {
    files_ = Trainer::Make(job_, {}).value();
    const JobText text = TextOf(*job_);
    const auto fed = Open(text.config, {.test_data = false, .fed = text.fed->facts});
    device_ = Trainer::Make(fed, {}).value();
    parameters_ = StartParameters(*job_).value();
    // Room for 20 of the 64 samples.
    cache_.emplace(CacheOptions(text, 20 * text.fed->sample_bytes));
    cache_->SetTerm(1);
    store_.emplace(cluster::SampleStore::Options{
        .term = 1, .samples = job_->source->size(), .sample_bytes = text.fed->sample_bytes});
  }

  // Carries requests and samples until nothing is left to do.
  void Feed(std::vector<cluster::AskSamples> asks) {
    while (!asks.empty()) {
      const auto read = cluster::testing::Asked<cluster::ReadSamples>(
          store_->Handle({}, {7, cluster::Role::kWorker}, asks.front()));
      asks.erase(asks.begin());
      Bytes packet;
      data::EncodeSamples(*job_->source, read.at(0).request.indices, &packet);
      const auto sent = cluster::testing::Sent<cluster::Samples>(
          store_->OnRead({}, read[0], {}, std::make_shared<Bytes>(std::move(packet))));
      const auto got = cache_->OnSamples(sent.at(0));
      ASSERT_TRUE(device_->Keep({got.kept, sent[0].values}).ok());
      device_->Drop({got.dropped});
      asks.insert(asks.end(), got.ask.begin(), got.ask.end());
    }
  }

  // The update of `trainer` as bytes.
  Bytes Compute(Trainer* trainer, const cluster::Lease& lease) {
    Bytes packet;
    const auto codec = codec::MakeCodec("dense").value();
    CHECK(codec->Encode(parameters_, {}, &packet).ok());
    cluster::Compute compute;
    compute.term = 1;
    compute.lease = lease;
    const cluster::Range all{0, std::ssize(parameters_)};
    compute.pieces = {{all, 0, std::make_shared<Bytes>(std::move(packet))}};
    compute.ranges = {all};
    const auto update = trainer->Compute(compute);
    CHECK(update.ok()) << update.status().ToString();
    trainer->Settle({.term = 1, .lease = lease, .applied = true, .range = all});
    return *update->parts.at(0).gradient;
  }

  std::shared_ptr<const Job> job_ = Open(Config(), {.test_data = false});
  std::unique_ptr<Trainer> files_, device_;
  std::vector<float> parameters_;
  std::optional<cluster::SampleCache> cache_;
  std::optional<cluster::SampleStore> store_;
};

TEST_F(FedTraining, IsTrainingOnTheFiles) {
  for (uint64_t i = 0; i < 8; ++i) {
    const cluster::Lease lease{.id = i + 1,
                               .epoch = static_cast<int64_t>(i / 4),
                               .begin = static_cast<int64_t>(i % 4) * 16,
                               .count = 16};
    EXPECT_EQ(device_->CheckSamples(lease).code(), Code::kDataLoss);
    Feed(cache_->Want(lease).value());
    ASSERT_TRUE(cache_->Has(lease));
    EXPECT_TRUE(device_->CheckSamples(lease).ok());
    device_->ReadAhead(lease);
    const Bytes got = Compute(device_.get(), lease);
    EXPECT_EQ(got, Compute(files_.get(), lease)) << i;
    Feed(cache_->Done(lease));
  }
}

// Given back with its samples being read ahead, which are dropped then.
TEST_F(FedTraining, DropsWhatIsReadAhead) {
  for (uint64_t i = 0; i < 20; ++i) {
    const cluster::Lease lease{.id = i + 1,
                               .epoch = static_cast<int64_t>(i / 4),
                               .begin = static_cast<int64_t>(i % 4) * 16,
                               .count = 16};
    Feed(cache_->Want(lease).value());
    device_->ReadAhead(lease);
    Feed(cache_->Done(lease));
  }
}

}  // namespace
}  // namespace weft::app
