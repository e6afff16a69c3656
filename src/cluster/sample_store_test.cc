#include "cluster/sample_store.h"

#include <gtest/gtest.h>

#include "cluster/sample_cache.h"
#include "cluster/testing.h"

namespace weft::cluster {
namespace {

using testing::Asked;
using testing::Sent;

constexpr uint64_t kTerm = 4;

class SampleStoreTest : public ::testing::Test {
 protected:
  static AskSamples Ask(uint64_t request, std::vector<int64_t> indices = {1, 2}) {
    return {.term = kTerm, .request = request, .indices = std::move(indices)};
  }
  // Hands over a request; what is to be read thereupon waits in reads_.
  Actions Handle(DeviceId device, const AskSamples& ask) {
    Actions actions = store_.Handle(TimePoint(), {device, Role::kWorker}, ask);
    for (const ReadSamples& read : Asked<ReadSamples>(actions)) reads_.push_back(read);
    return actions;
  }
  // The host is done with what it began first; who was served.
  DeviceId Finish(const Status& status = OkStatus()) {
    const ReadSamples read = reads_.front();
    reads_.erase(reads_.begin());
    last_ = store_.OnRead(TimePoint(), read, status, std::make_shared<Bytes>(3));
    for (const ReadSamples& next : Asked<ReadSamples>(last_)) reads_.push_back(next);
    return read.to.device;
  }

  SampleStore store_{
      {.term = kTerm, .samples = 100, .sample_bytes = 10, .most_reading = 2, .most_waiting = 3}};
  std::vector<ReadSamples> reads_;
  Actions last_;
};

TEST_F(SampleStoreTest, ReadsAndSends) {
  EXPECT_TRUE(Sent<Samples>(Handle(7, Ask(1, {5, 9}))).empty());
  ASSERT_EQ(reads_.size(), 1u);
  EXPECT_EQ(reads_[0].to, (Address{7, Role::kWorker}));
  EXPECT_EQ(reads_[0].request.indices, (std::vector<int64_t>{5, 9}));
  Finish();
  ASSERT_EQ(last_.size(), 1u);
  EXPECT_EQ(std::get<Send>(last_[0]).to, (Address{7, Role::kWorker}));
  const Samples samples = Sent<Samples>(last_).at(0);
  EXPECT_EQ(samples.term, kTerm);
  EXPECT_EQ(samples.request, 1u);
  EXPECT_EQ(samples.count, 2);
  EXPECT_EQ(samples.problem, "");
  EXPECT_EQ(samples.values->size(), 3u);
}

TEST_F(SampleStoreTest, SaysWhatCouldNotBeRead) {
  Handle(7, Ask(1));
  Finish(base::NotFound("the disk is gone"));
  const Samples samples = Sent<Samples>(last_).at(0);
  EXPECT_EQ(samples.problem, "the disk is gone");
  EXPECT_EQ(samples.count, 0);
  EXPECT_EQ(samples.values, nullptr);
}

TEST_F(SampleStoreTest, LetsDevicesTakeTurns) {
  for (uint64_t request = 1; request <= 5; ++request) Handle(1, Ask(request));
  Handle(2, Ask(1));
  Handle(3, Ask(1));
  Handle(3, Ask(2));
  EXPECT_EQ(reads_.size(), 2u);  // at a time
  std::vector<DeviceId> served;
  while (!reads_.empty()) served.push_back(Finish());
  EXPECT_EQ(served, (std::vector<DeviceId>{1, 1, 2, 3, 1, 3, 1, 1}));
}

TEST_F(SampleStoreTest, IgnoresWhatItKnows) {
  for (uint64_t request = 1; request <= 4; ++request) Handle(1, Ask(request));
  for (uint64_t request = 1; request <= 4; ++request) {
    EXPECT_TRUE(Handle(1, Ask(request)).empty());  // two being read, two waiting
  }
  int served = 0;
  for (; !reads_.empty(); ++served) Finish();
  EXPECT_EQ(served, 4);
  Handle(1, Ask(4));  // the answer was lost
  EXPECT_EQ(reads_.size(), 1u);
}

TEST_F(SampleStoreTest, IgnoresOtherTerms) {
  for (const uint64_t term : {kTerm - 1, kTerm + 1}) {
    AskSamples ask = Ask(1);
    ask.term = term;
    EXPECT_TRUE(Handle(1, ask).empty());
  }
}

TEST_F(SampleStoreTest, RefusesWhatItCannotServe) {
  const std::vector<std::vector<int64_t>> bad = {
      {}, {100}, {3, -1}, std::vector<int64_t>(kMostRequestSamples + 1, 1)};
  for (const auto& indices : bad) {
    const auto samples = Sent<Samples>(Handle(1, Ask(1, indices)));
    ASSERT_EQ(samples.size(), 1u);
    EXPECT_NE(samples[0].problem, "");
    EXPECT_EQ(samples[0].request, 1u);
  }
  EXPECT_TRUE(reads_.empty());
  SampleStore large({.term = kTerm, .samples = 9, .sample_bytes = kMostRequestBytes});
  EXPECT_EQ(Sent<Samples>(large.Handle(TimePoint(), {1, Role::kWorker}, Ask(1))).size(), 1u);
  EXPECT_TRUE(Sent<Samples>(large.Handle(TimePoint(), {1, Role::kWorker}, Ask(1, {1}))).empty());
}

TEST_F(SampleStoreTest, BoundsWhatWaits) {
  for (uint64_t request = 1; request <= 5; ++request) {
    EXPECT_TRUE(Sent<Samples>(Handle(1, Ask(request))).empty());
  }
  EXPECT_EQ(Sent<Samples>(Handle(1, Ask(6))).at(0).problem, "got over 3 requests at a time");
  EXPECT_TRUE(Sent<Samples>(Handle(2, Ask(1))).empty());
}

TEST_F(SampleStoreTest, ForgetsWhoIsGone) {
  for (uint64_t request = 1; request <= 4; ++request) Handle(1, Ask(request));
  Handle(2, Ask(1));
  store_.Forget(1);
  std::vector<DeviceId> served;
  while (!reads_.empty()) served.push_back(Finish());
  EXPECT_EQ(served, (std::vector<DeviceId>{1, 1, 2}));
}

TEST_F(SampleStoreTest, WarnsOfOtherMessages) {
  const Actions actions = store_.Handle(TimePoint(), {1, Role::kWorker}, Bye{});
  EXPECT_EQ(testing::Emitted<Warning>(actions).size(), 1u);
}

// A cache on one side, the store on the other.
TEST_F(SampleStoreTest, FeedsACache) {
  const Lease lease{.id = 1, .begin = 0, .count = 90};
  SampleCache cache({.budget_bytes = 1000, .sample_bytes = 10, .indices = [](const Lease& of) {
                       std::vector<int64_t> indices;
                       for (int64_t i = 0; i < of.count; ++i) indices.push_back(i);
                       return indices;
                     }});
  cache.SetTerm(kTerm);
  const auto asks = cache.Want(lease).value();
  for (const AskSamples& ask : asks) Handle(1, ask);
  while (!reads_.empty()) {
    Finish();
    for (const Samples& samples : Sent<Samples>(last_)) {
      for (const AskSamples& ask : cache.OnSamples(samples).ask) Handle(1, ask);
    }
  }
  EXPECT_TRUE(cache.Has(lease));
}

}  // namespace
}  // namespace weft::cluster
