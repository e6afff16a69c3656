#include "sim/link.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

constexpr TimePoint At(int64_t us) { return {us * 1000}; }
constexpr Duration Us(int64_t us) { return std::chrono::microseconds(us); }

// One byte a microsecond.
Server Slow() {
  Server server;
  server.SetRate(8e6);
  return server;
}

TEST(Server, TakesBytesOverRate) {
  Server server = Slow();
  EXPECT_EQ(server.Begin(At(5), 1, 100), Us(100));
  EXPECT_EQ(server.end(), At(105));
  EXPECT_EQ(server.End(), 1U);
}

TEST(Server, ServesOneAfterAnother) {
  Server server = Slow();
  server.Join(1);
  server.Join(2);
  EXPECT_EQ(server.Next(), 1U);
  server.Begin(At(0), 1, 100);
  EXPECT_EQ(server.Next(), std::nullopt);
  server.End();
  EXPECT_EQ(server.Next(), 2U);
}

TEST(Server, WithoutLimitTakesNoTime) {
  Server server;
  EXPECT_FALSE(server.limited());
  EXPECT_EQ(server.Begin(At(7), 1, 1 << 30), Us(0));
}

TEST(Server, ASmallMessageInterruptsAPiece) {
  Server server = Slow();
  server.Begin(At(0), 1, 1000);
  EXPECT_EQ(server.Pass(At(100), 10, 50), At(160)) << "50 bytes ahead of it, then its own";
  EXPECT_EQ(server.end(), At(1010)) << "the piece takes longer by the message's time";
  EXPECT_EQ(server.Pass(At(100), 10, 50), At(170)) << "behind the first";
  EXPECT_EQ(server.Pass(At(1010), 10, 50), At(1030)) << "the rest of the piece";
}

TEST(Server, ASmallMessageWaitsAtTheUsualRate) {
  Server server = Slow();
  server.Begin(At(0), 1, 1000);
  server.ChangeRate(At(0), 8e3);
  EXPECT_EQ(server.Pass(At(0), 1, 50), At(50 + 1000)) << "its own byte is slow";
}

TEST(Server, APieceWaitsForSmallMessages) {
  Server server = Slow();
  EXPECT_EQ(server.Pass(At(0), 30, 50), At(30));
  EXPECT_EQ(server.Begin(At(10), 1, 100), Us(120));
}

TEST(Server, OwedBytesDelayTheNextPieceInTheQueueOnly) {
  Server server = Slow();
  server.Begin(At(0), 1, 100);
  server.Owe(40);
  server.Join(2);
  server.End();
  EXPECT_EQ(server.Begin(At(100), *server.Next(), 100), Us(140));
  server.Owe(40);
  server.End();  // nothing waits: they go while the server is idle
  EXPECT_EQ(server.Begin(At(240), 3, 100), Us(100));
}

TEST(Server, AChangeOfRateIsForThePieceInServiceToo) {
  Server server = Slow();
  server.Begin(At(0), 1, 100);
  server.ChangeRate(At(50), 4e6);
  EXPECT_EQ(server.end(), At(150));
  server.ChangeRate(At(100), 0);
  EXPECT_EQ(server.end(), At(100));
}

TEST(Link, HalfDuplexIsOneServer) {
  Link full({.up_bps = 8e6, .down_bps = 8e6});
  EXPECT_NE(&full.server(true), &full.server(false));
  Link half({.up_bps = 8e6, .half_duplex = true});
  EXPECT_EQ(&half.server(true), &half.server(false));
  EXPECT_TRUE(half.server(false).limited());
}

TEST(Link, ClogMultipliesRates) {
  Link link({.up_bps = 8e6, .down_bps = 16e6});
  link.Clog(At(0), 0.5);
  EXPECT_EQ(link.server(true).TimeFor(10), Us(20));
  EXPECT_EQ(link.server(false).TimeFor(10), Us(10));
  link.Clog(At(0), 1);
  EXPECT_EQ(link.server(true).TimeFor(10), Us(10));
}

TEST(Link, ALinkWithoutLimitCanBeClogged) {
  Link link({});
  EXPECT_TRUE(link.open(true));
  link.Clog(At(0), 0.008);
  EXPECT_EQ(link.server(true).TimeFor(10), Us(10));
  link.Clog(At(0), 1);
  EXPECT_TRUE(link.open(true));
}

TEST(Link, CountsEachWay) {
  Link link({.up_bps = 8e6, .down_bps = 4e6});
  link.Count(true, 10);
  link.Count(true, 20);
  link.Count(false, 5);
  EXPECT_EQ(link.gate(true).bytes, 30);
  EXPECT_EQ(link.gate(true).busy, Us(30));
  EXPECT_EQ(link.gate(false).bytes, 5);
  EXPECT_EQ(link.gate(false).busy, Us(10));
}

}  // namespace
}  // namespace weft::sim
