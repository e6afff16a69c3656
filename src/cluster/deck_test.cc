#include "cluster/deck.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft::cluster {
namespace {

TEST(Deck, DealsInOrderAndWhatComesBackFirst) {
  Deck deck(10, {});
  deck.Open({});
  EXPECT_EQ(deck.left(), 10);
  EXPECT_EQ(deck.Take(4).begin, 0);
  const Deck::Piece second = deck.Take(4);
  EXPECT_EQ(second.begin, 4);
  deck.PutBack({1, 2});
  EXPECT_EQ(deck.next(), 1);
  const Deck::Piece again = deck.Take(4);
  EXPECT_EQ(again.begin, 1);
  EXPECT_EQ(again.count, 2) << "a piece has no gap";
  EXPECT_EQ(deck.Take(4).count, 2);
  EXPECT_EQ(deck.Take(4).count, 0);
  EXPECT_EQ(deck.left(), 0);
  EXPECT_EQ(deck.next(), -1);
}

TEST(Deck, LeavesOutWhatIsDone) {
  IntervalSet done;
  done.Add(0, 3);
  done.Add(5, 6);
  Deck deck(8, {});
  deck.Open(done);
  EXPECT_EQ(deck.left(), 4);
  EXPECT_EQ(deck.Take(9).begin, 3);
  const Deck::Piece rest = deck.Take(9);
  EXPECT_EQ(rest.begin, 6);
  EXPECT_EQ(rest.count, 2);
}

TEST(Deck, PiecesStayInTheirShard) {
  Deck deck(10, {4, 6});
  deck.Open({});
  EXPECT_EQ(deck.LeftOf(0), 4);
  EXPECT_EQ(deck.LeftOf(1), 6);
  const Deck::Piece all = deck.TakeOf(1, 10);
  EXPECT_EQ(all.begin, 4);
  EXPECT_EQ(all.count, 6);
  EXPECT_EQ(deck.TakeOf(1, 10).count, 0);
  EXPECT_EQ(deck.TakeOf(0, 3).count, 3);
  deck.PutBack(all);
  EXPECT_EQ(deck.TakeOf(0, 10).count, 1) << "not joined with what lies behind the border";
  EXPECT_EQ(deck.TakeOf(1, 10).count, 6);
}

TEST(Deck, EveryPositionIsDealtOnceWhateverComesBack) {
  base::Rng rng(7);
  for (int round = 0; round < 200; ++round) {
    const auto first = static_cast<int64_t>(1 + rng.NextBelow(40));
    const auto second = static_cast<int64_t>(1 + rng.NextBelow(40));
    Deck deck(first + second, {first, second});
    deck.Open({});
    IntervalSet dealt;
    std::vector<Deck::Piece> out;
    while (deck.left() > 0 || !out.empty()) {
      if (deck.left() > 0 && rng.NextBelow(3) > 0) {
        const auto most = static_cast<int64_t>(1 + rng.NextBelow(9));
        const auto shard = static_cast<int64_t>(rng.NextBelow(2));
        out.push_back(rng.NextBelow(2) == 0 ? deck.Take(most) : deck.TakeOf(shard, most));
        if (out.back().count == 0) out.pop_back();
      } else if (!out.empty()) {
        const Deck::Piece piece = out.back();
        out.pop_back();
        if (rng.NextBelow(3) == 0) {
          deck.PutBack(piece);
        } else {
          ASSERT_EQ(dealt.Add(piece.begin, piece.begin + piece.count), 0);
          ASSERT_TRUE(piece.begin >= first || piece.begin + piece.count <= first);
        }
      }
    }
    ASSERT_EQ(dealt.size(), first + second);
  }
}

TEST(Deck, KnowsWhoseAPositionIs) {
  const Deck deck(6, {1, 3, 2});
  EXPECT_EQ(deck.ShardOf(0), 0);
  EXPECT_EQ(deck.ShardOf(1), 1);
  EXPECT_EQ(deck.ShardOf(3), 1);
  EXPECT_EQ(deck.ShardOf(5), 2);
}

}  // namespace
}  // namespace weft::cluster
