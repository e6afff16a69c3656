#include "cluster/stream_dealer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Lease kLease = {.id = 1, .count = 4};

class StreamDealerTest : public ::testing::Test {
 protected:
  StreamDealerTest() {
    dealer_.Add(1);
    dealer_.Add(2);
  }
  // There is one lease in all.
  std::vector<StreamDealer::Dealt> Deal() {
    return dealer_.Deal({}, 0, [this](DeviceId) { return std::exchange(fresh_, std::nullopt); });
  }

  StreamDealer dealer_;
  std::optional<Lease> fresh_ = kLease;
};

TEST_F(StreamDealerTest, ALeaseThatNobodyCanComputeIsHopeless) {
  EXPECT_THAT(Deal(), SizeIs(1));
  EXPECT_TRUE(dealer_.Return(kLease, 1, /*refused=*/false));
  EXPECT_FALSE(dealer_.Hopeless());
  EXPECT_EQ(Deal().at(0).device, 2u);
  EXPECT_TRUE(dealer_.Return(kLease, 2, /*refused=*/false));
  EXPECT_EQ(dealer_.Hopeless(), kLease);
  EXPECT_FALSE(dealer_.TryAgain(kLease));
  EXPECT_THAT(Deal(), IsEmpty());
}

TEST_F(StreamDealerTest, WhoseUpdateWasRefusedCanTryAgain) {
  Deal();
  dealer_.Return(kLease, 1, /*refused=*/true);
  Deal();
  dealer_.Return(kLease, 2, /*refused=*/false);
  EXPECT_EQ(dealer_.Hopeless(), kLease);
  EXPECT_TRUE(dealer_.TryAgain(kLease));
  EXPECT_FALSE(dealer_.Hopeless());
  EXPECT_EQ(Deal().at(0).device, 1u);
}

}  // namespace
}  // namespace weft::cluster
