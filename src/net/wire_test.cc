#include "net/wire.h"

#include <gtest/gtest.h>

#include <string>

#include "net/limits.h"
#include "net/testing_messages.h"
#include "net/utf8.h"
#include "proto/weft.pb.h"

namespace weft::net {
namespace {

using cluster::Envelope;
using testing::kKinds;
using testing::RandomEnvelope;
using testing::Same;
using testing::Say;

TEST(Wire, EveryFieldOfEveryMessageSurvivesTheRoundTrip) {
  for (size_t kind = 0; kind < kKinds; ++kind) {
    for (uint64_t seed = 0; seed < 100; ++seed) {
      base::Rng rng(base::DeriveSeed(seed, kind));
      Envelope sent = RandomEnvelope(rng, kind);
      v1::Envelope encoded;
      ASSERT_EQ(EncodeEnvelope(sent, &encoded), OkStatus());
      v1::Envelope parsed;
      ASSERT_TRUE(parsed.ParseFromString(encoded.SerializeAsString()));
      Result<Envelope> received = DecodeEnvelope(parsed);
      ASSERT_TRUE(received.ok()) << received.status().ToString();
      // The payload goes in frames of its own.
      if (cluster::Payload* payload = PayloadOf(&sent.message)) *payload = nullptr;
      ASSERT_TRUE(Same(sent, *received)) << "kind " << kind << " seed " << seed;
    }
  }
}

// Guards the test above: Same must see a difference in any field.
TEST(Wire, TheComparisonOfTheseTestsSeesEveryKindOfChange) {
  for (size_t kind = 0; kind < kKinds; ++kind) {
    base::Rng rng(kind);
    const Envelope a = RandomEnvelope(rng, kind);
    Envelope b = RandomEnvelope(rng, kind);
    b.from = a.from;
    b.to = a.to;
    EXPECT_TRUE(Same(a, a));
    EXPECT_FALSE(Same(a, b)) << "kind " << kind;
  }
}

// The smallest Envelope that decodes.
v1::Envelope ValidBye() {
  v1::Envelope envelope;
  envelope.mutable_from()->set_role(v1::ROLE_WORKER);
  envelope.mutable_to()->set_role(v1::ROLE_COORDINATOR);
  envelope.mutable_bye();
  return envelope;
}

void ExpectRefused(const v1::Envelope& envelope, const std::string& in_message) {
  const Result<Envelope> result = DecodeEnvelope(envelope);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kInvalidArgument);
  EXPECT_NE(result.status().message().find(in_message), std::string::npos)
      << result.status().message();
}

TEST(Wire, RefusesWhatIsNotAMessage) {
  EXPECT_TRUE(DecodeEnvelope(ValidBye()).ok());

  ExpectRefused(v1::Envelope(), "from.role: got 0");
  v1::Envelope envelope = ValidBye();
  envelope.clear_body();
  ExpectRefused(envelope, "message kind");
  envelope = ValidBye();
  envelope.clear_to();
  ExpectRefused(envelope, "to.role: got 0");
  envelope = ValidBye();
  envelope.mutable_from()->set_role(static_cast<v1::Role>(77));
  ExpectRefused(envelope, "from.role: got 77");
  envelope = ValidBye();
  envelope.mutable_welcome()->mutable_layout()->add_parts();
  ExpectRefused(envelope, "layout.leader.role: got 0");
  envelope = ValidBye();
  envelope.mutable_refuse()->set_code(-1);
  ExpectRefused(envelope, "refuse.code: got -1");
  envelope.mutable_finished()->set_code(17);
  ExpectRefused(envelope, "finished.code: got 17");
}

TEST(Wire, RefusesAKindFromTheFuture) {
  v1::Envelope envelope = ValidBye();
  envelope.clear_body();
  std::string bytes = envelope.SerializeAsString();
  bytes += "\xC2\x3E";  // field 1000, length-delimited
  bytes += '\0';
  v1::Envelope parsed;
  ASSERT_TRUE(parsed.ParseFromString(bytes));
  ExpectRefused(parsed, "newer weft");
}

TEST(Wire, BothSidesRefuseWhatIsTooLarge) {
  cluster::Hello hello;
  hello.name.assign(kMaxNameBytes, 'x');
  Envelope envelope = Say(hello);
  v1::Envelope encoded;
  ASSERT_EQ(EncodeEnvelope(envelope, &encoded), OkStatus());
  ASSERT_TRUE(DecodeEnvelope(encoded).ok());
  std::get<cluster::Hello>(envelope.message).name += 'x';
  EXPECT_EQ(EncodeEnvelope(envelope, &encoded).code(), Code::kInvalidArgument);
  encoded.mutable_hello()->mutable_name()->assign(kMaxNameBytes + 1, 'x');
  ExpectRefused(encoded, "hello.name: got 4097 bytes, want at most 4096");

  cluster::BeginStep step;
  step.leases.resize(kMaxLeases, {.id = ~0ull, .step = -1, .epoch = -1, .slot = -1, .begin = -1});
  envelope.message = step;
  encoded.Clear();
  ASSERT_EQ(EncodeEnvelope(envelope, &encoded), OkStatus()) << "the largest list fits the head";
  ASSERT_TRUE(DecodeEnvelope(encoded).ok());
  encoded.mutable_begin_step()->add_leases();
  ExpectRefused(encoded, "begin_step.leases: got 8193 entries");
  step.leases.resize(kMaxLeases + 1);
  envelope.message = step;
  EXPECT_EQ(EncodeEnvelope(envelope, &encoded).code(), Code::kInvalidArgument);
}

TEST(Wire, BothSidesRefuseTooManySlots) {
  cluster::Missing missing;
  missing.slots.resize(kMaxLeases, -1);
  Envelope envelope = Say(missing);
  v1::Envelope encoded;
  ASSERT_EQ(EncodeEnvelope(envelope, &encoded), OkStatus()) << "the largest list fits the head";
  ASSERT_TRUE(DecodeEnvelope(encoded).ok());
  encoded.mutable_missing()->add_slots(0);
  ExpectRefused(encoded, "missing.slots: got 8193 slots");
  missing.slots.push_back(0);
  envelope.message = missing;
  EXPECT_EQ(EncodeEnvelope(envelope, &encoded).code(), Code::kInvalidArgument);
}

// What a weft from before these fields sends, or makes of them.
TEST(Wire, AnOlderPeerDoesNotSayWhatItDoesNotKnow) {
  v1::Envelope envelope = ValidBye();
  envelope.mutable_heartbeat()->set_term(3);
  const auto beat = std::get<cluster::Heartbeat>(DecodeEnvelope(envelope)->message);
  EXPECT_EQ(beat.version, -1);
  EXPECT_EQ(beat.leases, -1);
  envelope.mutable_welcome()->set_term(3);
  const auto welcome = std::get<cluster::Welcome>(DecodeEnvelope(envelope)->message);
  EXPECT_EQ(welcome.device_timeout_ms, 0);
  EXPECT_EQ(welcome.shard, -1);
}

TEST(Wire, RefusesARoleThatDoesNotExist) {
  Envelope envelope = Say(cluster::Bye{});
  envelope.to.role = static_cast<cluster::Role>(9);
  v1::Envelope encoded;
  EXPECT_EQ(EncodeEnvelope(envelope, &encoded).code(), Code::kInvalidArgument);
}

TEST(Wire, BrokenTextArrivesGarbledRatherThanNotAtAll) {
  const Envelope envelope = Say(cluster::Bye{.reason = "cannot write caf\xE9/run"});
  v1::Envelope encoded;
  ASSERT_EQ(EncodeEnvelope(envelope, &encoded), OkStatus());
  v1::Envelope parsed;
  ASSERT_TRUE(parsed.ParseFromString(encoded.SerializeAsString())) << "not UTF-8";
  EXPECT_EQ(parsed.bye().reason(), "cannot write caf?/run");
}

TEST(Utf8, KeepsWhatIsWellFormedAndReplacesTheRestByteByByte) {
  EXPECT_EQ(ToValidUtf8("plain, ß, 網, 🧵"), "plain, ß, 網, 🧵");
  EXPECT_EQ(ToValidUtf8("\xC0\x80"), "??");            // overlong NUL
  EXPECT_EQ(ToValidUtf8("\xE0\x9F\xBF"), "???");       // overlong, three bytes
  EXPECT_EQ(ToValidUtf8("\xED\xA0\x80"), "???");       // surrogate
  EXPECT_EQ(ToValidUtf8("\xF4\x90\x80\x80"), "????");  // above U+10FFFF
  EXPECT_EQ(ToValidUtf8("\xF0\x8F\xBF\xBF"), "????");  // overlong, four bytes
  EXPECT_EQ(ToValidUtf8("a\xE7\xB6"), "a??");          // cut off
  EXPECT_EQ(ToValidUtf8("\xE7\xB6z"), "??z");          // broken off
  EXPECT_EQ(ToValidUtf8("\x80\xFF"), "??");            // no lead byte
  EXPECT_EQ(ToValidUtf8(std::string("\0", 1)), std::string("\0", 1));
}

}  // namespace
}  // namespace weft::net
