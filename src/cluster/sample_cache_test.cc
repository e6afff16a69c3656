#include "cluster/sample_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/rng.h"

namespace weft::cluster {
namespace {

using Indices = std::vector<int64_t>;

// Position p of epoch e is sample p + 1000 e, so that leases of one epoch never share a sample, and
// those of 0 and 1000 epochs on do.
Lease LeaseAt(int64_t begin, int64_t count, int64_t epoch = 0) {
  return {.id = static_cast<uint64_t>(begin * 1000 + count + epoch * 1'000'000 + 1),
          .epoch = epoch,
          .begin = begin,
          .count = count};
}
Indices IndicesOf(const Lease& lease) {
  Indices indices(static_cast<size_t>(lease.count));
  std::iota(indices.begin(), indices.end(), lease.begin + 1000 * (lease.epoch % 10));
  return indices;
}

SampleCacheOptions Options(int64_t budget_samples, int64_t sample_bytes = 10) {
  return {.budget_bytes = budget_samples * sample_bytes,
          .sample_bytes = sample_bytes,
          .indices = IndicesOf};
}

Samples AnswerTo(const AskSamples& ask) {
  return {.term = ask.term,
          .request = ask.request,
          .count = std::ssize(ask.indices),
          .problem = "",
          .values = std::make_shared<Bytes>()};
}

// Answers all that was asked, and what is asked thereupon. Returns what was dropped.
Indices Feed(SampleCache* cache, std::vector<AskSamples> asks) {
  Indices dropped;
  while (!asks.empty()) {
    const AskSamples ask = asks.front();
    asks.erase(asks.begin());
    const SampleCache::Got got = cache->OnSamples(AnswerTo(ask));
    EXPECT_TRUE(got.wanted);
    EXPECT_EQ(got.kept, ask.indices);
    EXPECT_TRUE(got.failed.empty());
    dropped.insert(dropped.end(), got.dropped.begin(), got.dropped.end());
    asks.insert(asks.end(), got.ask.begin(), got.ask.end());
  }
  return dropped;
}

TEST(SampleCache, AsksOnceForWhatIsMissing) {
  SampleCache cache(Options(0));
  cache.SetTerm(7);
  const Lease a = LeaseAt(0, 4);
  const auto asks = cache.Want(a).value();
  ASSERT_EQ(asks.size(), 1u);
  EXPECT_EQ(asks[0].term, 7u);
  EXPECT_EQ(asks[0].indices, (Indices{0, 1, 2, 3}));
  EXPECT_TRUE(cache.Want(a).value().empty());
  // Two of its samples are on their way.
  const auto more = cache.Want(LeaseAt(2, 4)).value();
  ASSERT_EQ(more.size(), 1u);
  EXPECT_EQ(more[0].indices, (Indices{4, 5}));
  EXPECT_NE(more[0].request, asks[0].request);
  EXPECT_FALSE(cache.Has(a));
  EXPECT_EQ(cache.bytes(), 0);
  EXPECT_TRUE(Feed(&cache, asks).empty());
  EXPECT_TRUE(cache.Has(a));
  EXPECT_FALSE(cache.Has(LeaseAt(2, 4)));
  EXPECT_EQ(cache.bytes(), 40);
  Feed(&cache, more);
  EXPECT_TRUE(cache.Has(LeaseAt(2, 4)));
}

TEST(SampleCache, KeepsWhatItHasFromEpochToEpoch) {
  SampleCache cache(Options(0));
  Feed(&cache, cache.Want(LeaseAt(0, 8)).value());
  cache.Done(LeaseAt(0, 8));
  const Lease again = LeaseAt(2, 4, 10);  // the same samples
  EXPECT_TRUE(cache.Want(again).value().empty());
  EXPECT_TRUE(cache.Has(again));
}

TEST(SampleCache, CutsRequests) {
  SampleCache by_count(Options(0, 1));
  const auto asks = by_count.Want(LeaseAt(0, 10000)).value();
  ASSERT_EQ(asks.size(), kMostRequests);  // the third goes when one has come
  EXPECT_EQ(std::ssize(asks[0].indices), kMostRequestSamples);
  const auto got = by_count.OnSamples(AnswerTo(asks[0]));
  ASSERT_EQ(got.ask.size(), 1u);
  EXPECT_EQ(std::ssize(got.ask[0].indices), 10000 - 2 * kMostRequestSamples);

  SampleCache by_bytes(Options(0, kMostRequestBytes / 3));
  EXPECT_EQ(by_bytes.Want(LeaseAt(0, 8)).value()[0].indices, (Indices{0, 1, 2}));
  SampleCache large(Options(0, 2 * kMostRequestBytes));
  EXPECT_EQ(large.Want(LeaseAt(0, 8)).value()[0].indices, (Indices{0}));
}

TEST(SampleCache, DropsWhatWasUsedLeastRecently) {
  SampleCache cache(Options(6));
  for (const int64_t begin : {0, 2, 4}) {
    EXPECT_TRUE(Feed(&cache, cache.Want(LeaseAt(begin, 2)).value()).empty());
    cache.Done(LeaseAt(begin, 2));
  }
  EXPECT_EQ(cache.bytes(), 60);
  cache.Want(LeaseAt(0, 2, 10)).value();  // uses 0 and 1 again
  cache.Done(LeaseAt(0, 2, 10));
  EXPECT_EQ(Feed(&cache, cache.Want(LeaseAt(6, 3)).value()), (Indices{2, 3, 4}));
  EXPECT_EQ(cache.bytes(), 60);
}

TEST(SampleCache, KeepsWhatIsWantedUntilItIsDone) {
  SampleCache cache(Options(4));
  const Lease a = LeaseAt(0, 2), b = LeaseAt(2, 2), c = LeaseAt(4, 2);
  Feed(&cache, cache.Want(a).value());
  Feed(&cache, cache.Want(b).value());
  // No room beside the two: it waits for one of them.
  EXPECT_TRUE(cache.Want(c).value().empty());
  EXPECT_TRUE(cache.Has(a) && cache.Has(b) && !cache.Has(c));
  const auto asks = cache.Done(a);
  ASSERT_EQ(asks.size(), 1u);
  EXPECT_EQ(Feed(&cache, asks), (Indices{0, 1}));
  EXPECT_TRUE(cache.Has(b) && cache.Has(c) && !cache.Has(a));
}

TEST(SampleCache, WorksForOneLeaseAtATime) {
  SampleCache cache(Options(4));
  for (int64_t i = 0; i < 20; ++i) {
    const Lease lease = LeaseAt(4 * i, 4), next = LeaseAt(4 * i + 4, 4);
    Feed(&cache, cache.Want(lease).value());
    EXPECT_TRUE(cache.Ahead(next).empty());
    EXPECT_TRUE(cache.Has(lease));
    EXPECT_TRUE(cache.Done(lease).empty());
  }
}

TEST(SampleCache, SaysWhatItCannotHold) {
  SampleCache cache(Options(4));
  const auto wanted = cache.Want(LeaseAt(0, 5));
  EXPECT_EQ(wanted.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(wanted.status().message(), "5 samples take 50 B, this device spares 40 B for samples");
  EXPECT_FALSE(cache.Has(LeaseAt(0, 5)));
  EXPECT_TRUE(cache.Want(LeaseAt(0, 4)).ok());
}

TEST(SampleCache, ReadsAheadWhatFits) {
  SampleCache cache(Options(6));
  const Lease now = LeaseAt(0, 4), next = LeaseAt(4, 4);
  auto asks = cache.Want(now).value();
  const auto ahead = cache.Ahead(next);
  ASSERT_EQ(ahead.size(), 1u);
  EXPECT_EQ(ahead[0].indices, (Indices{4, 5}));
  EXPECT_TRUE(cache.Ahead(next).empty());
  asks.push_back(ahead[0]);
  EXPECT_TRUE(Feed(&cache, asks).empty());
  EXPECT_FALSE(cache.Has(next));  // nobody has wanted it yet
  cache.Done(now);
  const auto rest = cache.Want(next).value();
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].indices, (Indices{6, 7}));
  EXPECT_EQ(Feed(&cache, rest), (Indices{0, 1}));
  EXPECT_TRUE(cache.Has(next));
}

TEST(SampleCache, WhatIsWantedPassesWhatIsAhead) {
  SampleCache cache(Options(0, kMostRequestBytes));  // a sample a request
  const auto ahead = cache.Ahead(LeaseAt(0, 5));
  ASSERT_EQ(ahead.size(), kMostRequests);
  EXPECT_TRUE(cache.Want(LeaseAt(10, 1)).value().empty());  // two are out
  const auto next = cache.OnSamples(AnswerTo(ahead[0])).ask;
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].indices, (Indices{10}));
}

// The room that was meant for what came ahead went to what is wanted.
TEST(SampleCache, DropsWhatComesAheadIfThereIsNoRoom) {
  SampleCache cache(Options(4));
  const auto ahead = cache.Ahead(LeaseAt(0, 4));
  const Lease lease = LeaseAt(10, 4);
  Feed(&cache, cache.Want(lease).value());
  EXPECT_TRUE(cache.Has(lease));
  const auto got = cache.OnSamples(AnswerTo(ahead[0]));
  EXPECT_EQ(got.kept, (Indices{0, 1, 2, 3}));
  EXPECT_EQ(got.dropped, (Indices{0, 1, 2, 3}));
  EXPECT_TRUE(cache.Has(lease));
  EXPECT_EQ(cache.bytes(), 40);
}

TEST(SampleCache, AsksAgainUnderTheNewTerm) {
  SampleCache cache(Options(0));
  cache.SetTerm(1);
  const auto asks = cache.Want(LeaseAt(0, 3)).value();
  cache.SetTerm(2);
  const auto again = cache.AskAgain();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].term, 2u);
  EXPECT_EQ(again[0].request, asks[0].request);
  EXPECT_EQ(again[0].indices, asks[0].indices);
  EXPECT_TRUE(cache.OnSamples(AnswerTo(again[0])).wanted);
  EXPECT_FALSE(cache.OnSamples(AnswerTo(asks[0])).wanted);  // the first answer came after all
  EXPECT_EQ(cache.bytes(), 30);
  EXPECT_TRUE(cache.AskAgain().empty());
}

TEST(SampleCache, GivesBackWhatTheStoreCannotRead) {
  SampleCache cache(Options(0));
  const Lease a = LeaseAt(0, 3), b = LeaseAt(2, 3), c = LeaseAt(7, 1);
  const auto first = cache.Want(a).value();
  const auto second = cache.Want(b).value();
  Samples answer = AnswerTo(first[0]);
  answer.problem = "the disk is gone";
  auto got = cache.OnSamples(answer);
  EXPECT_FALSE(got.wanted);
  EXPECT_EQ(got.failed, (std::vector<Lease>{a, b}));
  EXPECT_TRUE(cache.Done(a).empty());  // it is already
  // What came for it stays, what did not is asked for anew.
  Feed(&cache, second);
  EXPECT_EQ(cache.bytes(), 20);
  const auto anew = cache.Want(b).value();
  ASSERT_EQ(anew.size(), 1u);
  EXPECT_EQ(anew[0].indices, (Indices{2}));
  Feed(&cache, anew);
  EXPECT_TRUE(cache.Has(b));
  // An answer of another size is none.
  Samples odd = AnswerTo(cache.Want(c).value()[0]);
  odd.count = 2;
  EXPECT_EQ(cache.OnSamples(odd).failed, (std::vector<Lease>{c}));
}

// Any order of calls: the budget holds, what is wanted and held stays, and everything wanted comes.
TEST(SampleCache, HoldsItsPromisesWhateverHappens) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    base::Rng rng(seed);
    constexpr int64_t kBudget = 30;
    SampleCache cache(Options(kBudget, kMostRequestBytes / 3));
    std::set<int64_t> host;  // what the host keeps
    std::vector<AskSamples> asked;
    std::vector<Lease> wanted;
    const auto add = [&](const std::vector<AskSamples>& asks) {
      asked.insert(asked.end(), asks.begin(), asks.end());
      EXPECT_LE(asked.size(), kMostRequests);
    };
    const auto answer = [&](bool fails) {
      const size_t at = rng.NextBelow(asked.size());
      Samples samples = AnswerTo(asked[at]);
      if (fails) samples.problem = "no";
      asked.erase(asked.begin() + static_cast<std::ptrdiff_t>(at));
      const auto got = cache.OnSamples(samples);
      host.insert(got.kept.begin(), got.kept.end());
      for (const int64_t index : got.dropped) EXPECT_EQ(host.erase(index), 1u);
      for (const Lease& lease : got.failed) EXPECT_EQ(std::erase(wanted, lease), 1u);
      add(got.ask);
    };
    for (int i = 0; i < 300; ++i) {
      const Lease lease = LeaseAt(static_cast<int64_t>(rng.NextBelow(50)),
                                  1 + static_cast<int64_t>(rng.NextBelow(15)));
      const uint64_t what = rng.NextBelow(10);
      if (what < 2) {
        add(cache.Want(lease).value());
        if (std::ranges::find(wanted, lease) == wanted.end()) wanted.push_back(lease);
      } else if (what < 4) {
        add(cache.Ahead(lease));
      } else if (what < 6 && !wanted.empty()) {
        const Lease done = wanted[rng.NextBelow(wanted.size())];
        std::erase(wanted, done);
        add(cache.Done(done));
      } else if (!asked.empty()) {
        answer(rng.NextBelow(20) == 0);
      }
      EXPECT_LE(cache.bytes(), kBudget * (kMostRequestBytes / 3));
      EXPECT_EQ(std::ssize(host) * (kMostRequestBytes / 3), cache.bytes());
      for (const Lease& one : wanted) {
        if (!cache.Has(one)) continue;
        for (const int64_t index : IndicesOf(one)) EXPECT_TRUE(host.contains(index));
      }
    }
    while (!wanted.empty()) {
      while (!asked.empty()) answer(false);
      EXPECT_TRUE(cache.Has(wanted.front()));
      add(cache.Done(wanted.front()));
      wanted.erase(wanted.begin());
    }
  }
}

}  // namespace
}  // namespace weft::cluster
