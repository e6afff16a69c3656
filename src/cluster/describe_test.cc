#include "cluster/describe.h"

#include <gtest/gtest.h>

#include "cluster/event.h"

namespace weft::cluster {
namespace {

TEST(Describe, MessagesNameTheirFieldsAndDigestTheirTensors) {
  Push push;
  push.term = 2;
  push.device = 3;
  push.sequence = 9;
  push.lease = {.id = 1, .step = 7, .epoch = 0, .slot = 1, .begin = 32, .count = 16};
  push.version = 7;
  push.range = {0, 4};
  push.gradient = std::make_shared<Bytes>(Bytes{'1', '2', '3', '4', '5', '6', '7', '8', '9'});
  EXPECT_EQ(
      Describe(Message(push)),
      "Push term 2 device 3 sequence 9 lease 7.1[32+16] range 0+4 version 7 loss 0 correct 0 body "
      "9 bytes e3069283");
  EXPECT_EQ(MessageName(Message(BeginStep{})), "BeginStep");
}

TEST(Describe, AMessageThatDiffersReadsDifferently) {
  Parameters one{1, 5, std::make_shared<Bytes>(Bytes{1})};
  Parameters two{1, 5, std::make_shared<Bytes>(Bytes{2})};
  EXPECT_NE(Describe(Message(one)), Describe(Message(two)));
  EXPECT_EQ(Describe(Message(one)), Describe(Message(Parameters(one))));
}

TEST(Describe, Addresses) {
  EXPECT_EQ(Describe(Address{}), "coordinator");
  EXPECT_EQ(Describe(Address{0, Role::kLeader}), "leader");
  EXPECT_EQ(Describe(Address{4, Role::kLeader}), "leader 4");
  EXPECT_EQ(Describe(Address{4, Role::kWorker}), "worker 4");
}

TEST(Describe, EventsAreSentencesForPeople) {
  EXPECT_EQ(Describe(Event(CoordinatorLost{"connection reset", 0.84})),
            "lost the coordinator (connection reset); trying again in 0.8 s");
  EXPECT_EQ(Describe(Event(DeviceLeft{2, "pi-2", "silent for 5.0 s"})),
            "pi-2 (device 2) left: silent for 5.0 s");
  EXPECT_EQ(Describe(Event(EpochDone{.epoch = 1, .loss = 0.5, .accuracy = 0.875})),
            "epoch 1: loss 0.5000, accuracy 0.875, 0 samples lost, 0 duplicated");
}

}  // namespace
}  // namespace weft::cluster
