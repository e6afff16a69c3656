#include "cluster/peer_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace weft::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Address kCoordinator = {kCoordinatorDevice, Role::kCoordinator};

template <class Kind>
std::vector<Kind> Asked(const PeerLines::Actions& actions) {
  std::vector<Kind> found;
  for (const auto& action : actions) {
    if (const auto* kind = std::get_if<Kind>(&action)) found.push_back(*kind);
  }
  return found;
}

template <class Kind>
Kind Only(const PeerLines::Actions& actions) {
  const auto found = Asked<Kind>(actions);
  EXPECT_THAT(found, SizeIs(1));
  return found.empty() ? Kind{} : found.front();
}

PeerOptions Options(uint64_t incarnation = 1) {
  PeerOptions options;
  options.token = "secret";
  options.incarnation = incarnation;
  options.endpoint = "here:1";
  return options;
}

// Devices 2 and 3 lead and can be dialled, device 4 leads and cannot.
Layout SomeLayout() {
  return {.number = 1,
          .parts = {{.range = {0, 4}, .leader = {2, Role::kLeader}, .endpoint = "two:1"},
                    {.range = {4, 4}, .leader = {3, Role::kLeader}, .endpoint = "three:1"},
                    {.range = {8, 4}, .leader = {4, Role::kLeader}}}};
}

Welcome WelcomeOf(DeviceId device, const std::string& run = "run") {
  return {.device = device, .term = 1, .run = run, .layout = SomeLayout()};
}

Payload PayloadOf(size_t bytes) { return std::make_shared<const Bytes>(bytes); }

class PeerLinesTest : public ::testing::Test {
 protected:
  static constexpr DeviceId kSelf = 7;
  PeerLinesTest() { Note(WelcomeOf(kSelf)); }

  PeerLines::Actions Note(Message message) {
    return lines_.Note({kCoordinator, {}, std::move(message)});
  }
  PeerLines::Actions Push(DeviceId to, uint64_t sequence = 1, Payload gradient = nullptr) {
    return lines_.Send(now_, {kSelf, Role::kWorker},
                       {{to, Role::kLeader},
                        cluster::Push{.sequence = sequence, .gradient = std::move(gradient)}});
  }
  // What device 2 answers to a Hello.
  PeerLines::Actions Answer(uint64_t number, DeviceId as = 2, const std::string& run = "run") {
    return lines_.OnMessage(now_, {true, number},
                            {{as, Role::kWorker}, {kSelf, Role::kWorker}, WelcomeOf(as, run)});
  }
  // A line to device 2, dialled and open.
  uint64_t OpenLine() {
    const uint64_t number = Only<PeerLines::Dial>(Push(2)).number;
    lines_.OnOpen(now_, number);
    Answer(number);
    EXPECT_TRUE(lines_.HasLine(2));
    return number;
  }
  PeerLines::Actions Call(uint64_t number, DeviceId device, const std::string& token = "secret",
                          DeviceId wanted = kSelf) {
    return lines_.OnMessage(now_, {false, number},
                            {{device, Role::kWorker},
                             {wanted, Role::kWorker},
                             Hello{.incarnation = 5, .token = token, .device = device}});
  }
  PeerLines::Actions Hear(PeerLine line, Message message, Role from = Role::kLeader,
                          Address to = {kSelf, Role::kWorker}) {
    return lines_.OnMessage(now_, line, {{99, from}, to, std::move(message)});
  }

  PeerLines lines_{Options()};
  TimePoint now_ = TimePoint{} + seconds(10);
};

uint64_t SequenceOf(const Envelope& envelope) {
  return std::get<cluster::Push>(envelope.message).sequence;
}
template <class Kind>
std::vector<uint64_t> Sequences(const PeerLines::Actions& actions) {
  std::vector<uint64_t> sequences;
  for (const auto& action : Asked<Kind>(actions)) sequences.push_back(SequenceOf(action.envelope));
  return sequences;
}

// ---- who is spoken to, and how

TEST_F(PeerLinesTest, TheCoordinatorsProcessAndTheUnknownAreRelayed) {
  const auto beat = lines_.Send(now_, {kSelf, Role::kWorker}, {kCoordinator, Heartbeat{}});
  EXPECT_EQ(Only<PeerLines::Relay>(beat).envelope.from, (Address{kSelf, Role::kWorker}));
  EXPECT_THAT(Sequences<PeerLines::Relay>(Push(0, 1)), ElementsAre(1));
  EXPECT_THAT(Sequences<PeerLines::Relay>(Push(4, 2)), ElementsAre(2)) << "it has no endpoint";
  EXPECT_THAT(Sequences<PeerLines::Relay>(Push(50, 3)), ElementsAre(3));
}

TEST_F(PeerLinesTest, WhatIsForThisDeviceStaysHere) {
  EXPECT_THAT(Sequences<PeerLines::Deliver>(Push(kSelf, 1)), ElementsAre(1));
}

TEST_F(PeerLinesTest, TheCoordinatorIsToldWhereThisDeviceListens) {
  PeerLines fresh(Options());
  const auto hello = fresh.Send(now_, {0, Role::kWorker}, {kCoordinator, Hello{.name = "pi"}});
  EXPECT_EQ(std::get<Hello>(Only<PeerLines::Relay>(hello).envelope.message).endpoint, "here:1");
}

TEST_F(PeerLinesTest, ALineIsDialledAndWhatWaitedGoesFirst) {
  const auto first = Push(2, 1);
  EXPECT_EQ(Only<PeerLines::Dial>(first).endpoint, "two:1");
  EXPECT_THAT(first, SizeIs(1));
  EXPECT_THAT(Push(2, 2), IsEmpty());
  const uint64_t number = Only<PeerLines::Dial>(first).number;

  const auto open = lines_.OnOpen(now_, number);
  const Envelope hello = Only<PeerLines::Write>(open).envelope;
  EXPECT_EQ(std::get<Hello>(hello.message).device, kSelf);
  EXPECT_EQ(std::get<Hello>(hello.message).token, "secret");
  EXPECT_EQ(hello.to.device, 2u);
  EXPECT_THAT(Push(2, 3), IsEmpty()) << "not answered yet";

  EXPECT_THAT(Sequences<PeerLines::Write>(Answer(number)), ElementsAre(1, 2, 3));
  EXPECT_THAT(Sequences<PeerLines::Write>(Push(2, 4)), ElementsAre(4));
  EXPECT_EQ(lines_.NextWake(), std::nullopt);
}

TEST_F(PeerLinesTest, ARelayoutAndAReshapeSayWhereLeadersAre) {
  Layout next;
  next.parts = {{.leader = {5, Role::kLeader}, .endpoint = "five:1", .standby = 6}};
  next.parts[0].standby_endpoint = "six:1";
  Note(Relayout{1, next});
  EXPECT_EQ(Only<PeerLines::Dial>(Push(5)).endpoint, "five:1");
  EXPECT_EQ(Only<PeerLines::Dial>(Push(6)).endpoint, "six:1");
  Layout last;
  last.parts = {{.leader = {8, Role::kLeader}, .endpoint = "eight:1"}};
  Note(Reshape{1, next, last});
  EXPECT_EQ(Only<PeerLines::Dial>(Push(8)).endpoint, "eight:1");
}

// ---- when it cannot be dialled

TEST_F(PeerLinesTest, WhatWaitedIsRelayedWhenADialFails) {
  const uint64_t number = Only<PeerLines::Dial>(Push(2, 1)).number;
  Push(2, 2);
  const auto failed = lines_.OnClosed(now_, {true, number}, "refused");
  EXPECT_THAT(Sequences<PeerLines::Relay>(failed), ElementsAre(1, 2));
  EXPECT_THAT(Asked<PeerLines::Lost>(failed), IsEmpty()) << "nothing is lost";
  // It rests for a second, then two.
  now_ = now_ + milliseconds(999);
  EXPECT_THAT(Sequences<PeerLines::Relay>(Push(2, 3)), ElementsAre(3));
  now_ = now_ + milliseconds(1);
  const uint64_t again = Only<PeerLines::Dial>(Push(2, 4)).number;
  EXPECT_NE(again, number);
  lines_.OnClosed(now_, {true, again}, "refused");
  now_ = now_ + milliseconds(1999);
  EXPECT_THAT(Asked<PeerLines::Dial>(Push(2)), IsEmpty());
  now_ = now_ + milliseconds(1);
  EXPECT_THAT(Asked<PeerLines::Dial>(Push(2)), SizeIs(1));
}

TEST_F(PeerLinesTest, AnAnswerThatDoesNotComeIsNotWaitedForLong) {
  for (bool opened : {false, true}) {
    const uint64_t number = Only<PeerLines::Dial>(Push(2, 1)).number;
    if (opened) lines_.OnOpen(now_, number);
    ASSERT_EQ(lines_.NextWake(), now_ + seconds(2));
    EXPECT_THAT(lines_.Tick(now_ + milliseconds(1999)), IsEmpty());
    const auto late = lines_.Tick(now_ + seconds(2));
    EXPECT_EQ(Only<PeerLines::Close>(late).line, (PeerLine{true, number}));
    EXPECT_THAT(Sequences<PeerLines::Relay>(late), ElementsAre(1));
    EXPECT_EQ(lines_.NextWake(), std::nullopt);
    EXPECT_THAT(lines_.OnOpen(now_, number), IsEmpty()) << "too late";
    EXPECT_THAT(Answer(number), IsEmpty());
    now_ = now_ + seconds(60);
  }
}

TEST_F(PeerLinesTest, WhatOvertakesTheAnswerIsHeardAfterIt) {
  const uint64_t number = Only<PeerLines::Dial>(Push(2)).number;
  lines_.OnOpen(now_, number);
  EXPECT_THAT(Hear({true, number}, PushAck{.sequence = 8}), IsEmpty());
  const auto actions = Answer(number);
  EXPECT_TRUE(lines_.HasLine(2));
  const auto heard = Only<PeerLines::Deliver>(actions).envelope;
  EXPECT_EQ(heard.from, (Address{2, Role::kLeader}));
  EXPECT_EQ(std::get<PushAck>(heard.message).sequence, 8u);
}

TEST_F(PeerLinesTest, WhatCameFromWhoIsNotThePeerIsNotHeard) {
  const uint64_t number = Only<PeerLines::Dial>(Push(2)).number;
  lines_.OnOpen(now_, number);
  Hear({true, number}, PushAck{.sequence = 8});
  EXPECT_THAT(Asked<PeerLines::Deliver>(Answer(number, 3)), IsEmpty());
  now_ = now_ + seconds(30);
  const uint64_t again = Only<PeerLines::Dial>(Push(2)).number;
  lines_.OnOpen(now_, again);
  EXPECT_THAT(Asked<PeerLines::Deliver>(Answer(again)), IsEmpty());
}

TEST_F(PeerLinesTest, ARefusalOrTheWrongAnswerIsTakenForNoLine) {
  for (const Message& answer :
       std::initializer_list<Message>{Refuse{16, "wrong token", false}, WelcomeOf(3),
                                      WelcomeOf(2, "another run"), Heartbeat{}}) {
    const uint64_t number = Only<PeerLines::Dial>(Push(2, 1)).number;
    lines_.OnOpen(now_, number);
    const auto actions = Hear({true, number}, answer);
    EXPECT_THAT(Sequences<PeerLines::Relay>(actions), ElementsAre(1)) << MessageName(answer);
    EXPECT_THAT(Asked<PeerLines::Close>(actions), SizeIs(1));
    EXPECT_THAT(Asked<PeerLines::Deliver>(actions), IsEmpty());
    now_ = now_ + seconds(60);
  }
}

TEST_F(PeerLinesTest, OnlySoMuchWaits) {
  PeerOptions options = Options();
  options.most_waiting = 3;
  options.most_waiting_bytes = 100;
  PeerLines lines(options);
  lines.Note({{}, {}, WelcomeOf(kSelf)});
  const auto relayed = [&](uint64_t sequence, size_t bytes) {
    return Sequences<PeerLines::Relay>(lines.Send(
        now_, {kSelf, Role::kWorker},
        {{2, Role::kLeader}, cluster::Push{.sequence = sequence, .gradient = PayloadOf(bytes)}}));
  };
  EXPECT_THAT(relayed(1, 60), IsEmpty());
  EXPECT_THAT(relayed(2, 60), ElementsAre(2)) << "too many bytes";
  EXPECT_THAT(relayed(3, 40), IsEmpty());
  EXPECT_THAT(relayed(4, 0), IsEmpty());
  EXPECT_THAT(relayed(5, 0), ElementsAre(5)) << "too many messages";
}

// ---- a line that is lost

TEST_F(PeerLinesTest, ALostLineIsToldAndDialledAgainAfterASecond) {
  const uint64_t number = OpenLine();
  now_ = now_ + milliseconds(500);
  const auto lost = lines_.OnClosed(now_, {true, number}, "reset");
  EXPECT_EQ(Only<PeerLines::Lost>(lost).device, 2u);
  EXPECT_FALSE(lines_.HasLine(2));
  EXPECT_THAT(Sequences<PeerLines::Relay>(Push(2, 5)), ElementsAre(5));
  now_ = now_ + milliseconds(500);
  EXPECT_THAT(Asked<PeerLines::Dial>(Push(2, 6)), SizeIs(1));
  EXPECT_THAT(lines_.OnClosed(now_, {true, number}, "again"), IsEmpty());
}

TEST_F(PeerLinesTest, AsAnotherDeviceItBeginsAnew) {
  const uint64_t number = OpenLine();
  Call(40, 3);
  Note(Relayout{1, SomeLayout()});
  EXPECT_TRUE(lines_.HasLine(2));
  Note(WelcomeOf(kSelf));
  EXPECT_TRUE(lines_.HasLine(2)) << "the same device of the same run, back";
  const auto closed = Asked<PeerLines::Close>(Note(WelcomeOf(kSelf + 1)));
  ASSERT_THAT(closed, SizeIs(2));
  EXPECT_EQ(closed[0].line, (PeerLine{true, number}));
  EXPECT_EQ(closed[1].line, (PeerLine{false, 40}));
  EXPECT_FALSE(lines_.HasLine(2));
}

// ---- who dials this device

TEST_F(PeerLinesTest, WhoHasTheTokenIsLetInAndAnsweredOverItsLine) {
  const auto in = Call(40, 50);
  const Envelope answer = Only<PeerLines::Write>(in).envelope;
  EXPECT_EQ(std::get<Welcome>(answer.message).device, kSelf);
  EXPECT_EQ(std::get<Welcome>(answer.message).run, "run");
  const auto heard =
      Hear({false, 40}, cluster::Push{.sequence = 3}, Role::kWorker, {kSelf, Role::kLeader});
  const Envelope push = Only<PeerLines::Deliver>(heard).envelope;
  EXPECT_EQ(push.from, (Address{50, Role::kWorker})) << "as it said, not as the envelope says";
  EXPECT_EQ(push.to, (Address{kSelf, Role::kLeader}));
  const auto ack =
      lines_.Send(now_, {kSelf, Role::kLeader}, {{50, Role::kWorker}, PushAck{.sequence = 3}});
  EXPECT_EQ(Only<PeerLines::Write>(ack).line, (PeerLine{false, 40}));
  EXPECT_EQ(Only<PeerLines::Lost>(lines_.OnClosed(now_, {false, 40}, "gone")).device, 50u);
  EXPECT_THAT(Sequences<PeerLines::Relay>(Push(50, 9)), ElementsAre(9));
}

TEST_F(PeerLinesTest, AllOthersAreRefused) {
  const struct {
    DeviceId device;
    const char* token;
    DeviceId wanted;
  } cases[] = {{50, "guess", kSelf},
               {50, "", kSelf},
               {50, "secret", 6},
               {0, "secret", kSelf},
               {kSelf, "secret", kSelf}};
  for (const auto& each : cases) {
    const auto out = Call(40, each.device, each.token, each.wanted);
    const Envelope answer = Only<PeerLines::Write>(out).envelope;
    EXPECT_TRUE(std::holds_alternative<Refuse>(answer.message)) << each.token << each.device;
    EXPECT_EQ(Only<PeerLines::Close>(out).line, (PeerLine{false, 40}));
    EXPECT_THAT(Asked<PeerLines::Deliver>(Hear({false, 40}, cluster::Push{})), IsEmpty());
  }
  EXPECT_THAT(Asked<PeerLines::Close>(Hear({false, 41}, cluster::Push{})), SizeIs(1));
}

TEST_F(PeerLinesTest, NobodyIsLetInBeforeThisDeviceIsAdmitted) {
  PeerLines fresh(Options());
  const Hello hello{.incarnation = 5, .token = "secret", .device = 50};
  const auto out = fresh.OnMessage(now_, {false, 40}, {{50, Role::kWorker}, {}, hello});
  const Envelope answer = Only<PeerLines::Write>(out).envelope;
  ASSERT_TRUE(std::holds_alternative<Refuse>(answer.message));
  EXPECT_TRUE(std::get<Refuse>(answer.message).retry);
}

TEST_F(PeerLinesTest, WhatIsNotForADeviceToSayIsNotHeard) {
  Call(40, 50);
  const auto deaf = [&](Message message, Role from, Address to) {
    const auto actions = Hear({false, 40}, std::move(message), from, to);
    EXPECT_THAT(Asked<PeerLines::Deliver>(actions), IsEmpty());
    EXPECT_THAT(Asked<Emit>(actions), SizeIs(1));
  };
  deaf(BeginStep{}, Role::kCoordinator, {kSelf, Role::kLeader});
  deaf(Grant{}, Role::kLeader, {kSelf, Role::kWorker});
  deaf(cluster::Push{}, Role::kCoordinator, {kSelf, Role::kLeader});
  deaf(cluster::Push{}, Role::kWorker, {kSelf, Role::kCoordinator});
  deaf(cluster::Push{}, Role::kWorker, {kSelf + 1, Role::kLeader});
  deaf(Relayout{}, Role::kLeader, {kSelf, Role::kWorker});
}

TEST_F(PeerLinesTest, WhoDialsAgainReplacesItsLine) {
  Call(40, 50);
  const auto again = Call(41, 50);
  EXPECT_EQ(Only<PeerLines::Close>(again).line, (PeerLine{false, 40}));
  EXPECT_EQ(Only<PeerLines::Lost>(again).device, 50u) << "what was under way may be lost";
  EXPECT_EQ(Only<PeerLines::Write>(Push(50)).line, (PeerLine{false, 41}));
  EXPECT_THAT(lines_.OnClosed(now_, {false, 40}, "closed"), IsEmpty());
  EXPECT_TRUE(lines_.HasLine(50));
}

// Its end of the line has broken, and this one was not told.
TEST_F(PeerLinesTest, WhoSpeaksPastItsLineIsAnsweredSo) {
  Call(40, 50);
  EXPECT_THAT(Sequences<PeerLines::Write>(Push(50, 1)), ElementsAre(1));
  lines_.Note({{50, Role::kWorker}, {kSelf, Role::kLeader}, Pull{}});
  EXPECT_THAT(Sequences<PeerLines::Relay>(Push(50, 2)), ElementsAre(2));
  EXPECT_THAT(Asked<PeerLines::Deliver>(Hear({false, 40}, Pull{})), SizeIs(1));
  EXPECT_THAT(Sequences<PeerLines::Write>(Push(50, 3)), ElementsAre(3)) << "it works after all";
  lines_.Note({{50, Role::kWorker}, {kSelf, Role::kLeader}, Pull{}});
  Call(41, 50);
  EXPECT_EQ(Only<PeerLines::Write>(Push(50, 4)).line, (PeerLine{false, 41}));
  // A line that this device dialled is its own to give up.
  const uint64_t number = OpenLine();
  lines_.Note({{2, Role::kLeader}, {kSelf, Role::kWorker}, PushAck{}});
  EXPECT_EQ(Only<PeerLines::Write>(Push(2)).line, (PeerLine{true, number}));
}

TEST_F(PeerLinesTest, ALineFromThePeerServesWhatWaitsForOne) {
  const uint64_t number = Only<PeerLines::Dial>(Push(2, 1)).number;
  const auto in = Call(40, 2);
  const auto writes = Asked<PeerLines::Write>(in);
  ASSERT_THAT(writes, SizeIs(2));
  EXPECT_EQ(SequenceOf(writes[1].envelope), 1u);
  EXPECT_EQ(writes[1].line, (PeerLine{false, 40}));
  // Both dialled at once: each then uses its own.
  lines_.OnOpen(now_, number);
  Answer(number);
  EXPECT_EQ(Only<PeerLines::Write>(Push(2)).line, (PeerLine{true, number}));
  lines_.OnClosed(now_, {true, number}, "reset");
  EXPECT_EQ(Only<PeerLines::Write>(Push(2)).line, (PeerLine{false, 40}));
}

}  // namespace
}  // namespace weft::cluster
