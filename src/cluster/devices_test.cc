#include "cluster/devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using testing::ElementsAre;

Hello From(const std::string& name, uint64_t incarnation, DeviceId device = 0) {
  Hello hello;
  hello.name = name;
  hello.incarnation = incarnation;
  hello.device = device;
  return hello;
}

TEST(DeviceTable, GivesIdsFromOneAndUniqueNames) {
  const auto store = MakeMemoryStore();
  DeviceTable table(store.get());
  EXPECT_EQ(table.Admit({0}, 1, From("pi", 11)).value().device, 1u);
  EXPECT_EQ(table.Admit({0}, 2, From("pi", 12)).value().device, 2u);
  EXPECT_EQ(table.Admit({0}, 3, From("pi", 13)).value().device, 3u);
  EXPECT_EQ(table.Admit({0}, 4, From("", 14)).value().device, 4u);
  EXPECT_EQ(table.Find(1)->name, "pi");
  EXPECT_EQ(table.Find(2)->name, "pi-2");
  EXPECT_EQ(table.Find(3)->name, "pi-3");
  EXPECT_EQ(table.Find(4)->name, "device");
}

TEST(DeviceTable, ANameIsFreeAgainOnceItsDeviceIsGone) {
  const auto store = MakeMemoryStore();
  DeviceTable table(store.get());
  ASSERT_TRUE(table.Admit({0}, 1, From("pi-2", 10)).ok());
  for (uint64_t i = 2; i <= 4; ++i) ASSERT_TRUE(table.Admit({0}, i, From("pi", 9 + i)).ok());
  EXPECT_EQ(table.Find(2)->name, "pi");
  EXPECT_EQ(table.Find(3)->name, "pi-3") << "one calls itself pi-2";
  EXPECT_EQ(table.Find(4)->name, "pi-4");
  table.Remove(3);
  ASSERT_TRUE(table.Admit({0}, 5, From("pi", 20)).ok());
  EXPECT_EQ(table.Find(5)->name, "pi-3");
  ASSERT_TRUE(table.Admit({1}, 6, From("pi", 13, 4)).ok());
  EXPECT_EQ(table.Find(4)->name, "pi-4") << "its own name is not in its way";
}

TEST(DeviceTable, ADeviceComesBackByItsIncarnation) {
  const auto store = MakeMemoryStore();
  DeviceTable table(store.get());
  ASSERT_TRUE(table.Admit({0}, 1, From("pi", 11)).ok());
  const auto again = table.Admit({5}, 2, From("pi", 11, 1)).value();
  EXPECT_EQ(again.device, 1u);
  EXPECT_TRUE(again.again);
  EXPECT_EQ(again.replaced, ConnectionId{1});
  EXPECT_EQ(table.Find(1)->name, "pi");
  // Another process that claims the id is another device.
  const auto other = table.Admit({6}, 3, From("pi", 99, 1)).value();
  EXPECT_EQ(other.device, 2u);
  EXPECT_FALSE(other.again || other.replaced);
}

TEST(DeviceTable, IdsOutliveTheCoordinator) {
  const auto store = MakeMemoryStore();
  DeviceTable before(store.get());
  for (uint64_t i = 1; i <= 12; ++i) ASSERT_TRUE(before.Admit({0}, i, From("pi", i)).ok());
  DeviceTable after(store.get());
  ASSERT_TRUE(after.Load().ok());
  EXPECT_TRUE(after.living().empty());
  EXPECT_EQ(after.Admit({0}, 20, From("pi", 7, 7)).value().device, 7u);
  EXPECT_EQ(after.Admit({0}, 21, From("new", 50)).value().device, 13u);
}

TEST(DeviceTable, ASilentDeviceIsMarkedOnceUntilItIsSeenAgain) {
  const auto store = MakeMemoryStore();
  DeviceTable table(store.get());
  for (uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(table.Admit({0}, i, From("pi", i)).ok());
  EXPECT_FALSE(table.Saw(2, {5}));
  EXPECT_THAT(table.MarkSilent({4}), ElementsAre(1, 3));
  EXPECT_THAT(table.MarkSilent({4}), ElementsAre());
  EXPECT_THAT(table.silent(), ElementsAre(1, 3));
  EXPECT_EQ(table.OldestSign(), TimePoint{0});
  EXPECT_EQ(table.OldestUnmarked(), TimePoint{5});
  EXPECT_THAT(table.SilentSince({5}), ElementsAre(1, 2, 3)) << "marked or not";
  EXPECT_TRUE(table.Saw(1, {6}));
  EXPECT_FALSE(table.Saw(1, {7}));
  EXPECT_THAT(table.silent(), ElementsAre(3));
  table.Remove(3);
  EXPECT_EQ(table.OldestSign(), TimePoint{5});
  EXPECT_THAT(table.MarkSilent({6}), ElementsAre(2));
  ASSERT_TRUE(table.Admit({8}, 9, From("pi", 2, 2)).ok());
  EXPECT_THAT(table.silent(), ElementsAre()) << "it is back";
}

TEST(DeviceTable, BadRecordsAreRefused) {
  const auto store = MakeMemoryStore();
  ASSERT_TRUE(store->Put({{"device/x", "5"}}).ok());
  DeviceTable table(store.get());
  EXPECT_EQ(table.Load().code(), Code::kDataLoss);
}

// Takes as many writes as it is told to.
class FullStore : public CoordStore {
 public:
  explicit FullStore(int writes) : left_(writes) {}
  Result<std::optional<std::string>> Get(const std::string& key) override {
    return store_->Get(key);
  }
  Status Put(const std::map<std::string, std::string>& records) override {
    if (left_-- <= 0) return {Code::kInternal, "disk full"};
    return store_->Put(records);
  }
  Result<std::map<std::string, std::string>> List(const std::string& prefix) override {
    return store_->List(prefix);
  }

 private:
  int left_;
  std::unique_ptr<CoordStore> store_ = MakeMemoryStore();
};

TEST(DeviceTable, ADeviceThatCannotBeRecordedIsNotIn) {
  for (int writes = 0; writes <= 1; ++writes) {
    FullStore store(writes);
    DeviceTable table(&store, 2);
    EXPECT_FALSE(table.Admit({0}, 1, From("pi", 11)).ok()) << writes;
    EXPECT_TRUE(table.living().empty()) << "its id, then its shard: " << writes;
  }
}

TEST(DeviceTable, CountsThoseThatSayTheirSite) {
  const auto store = MakeMemoryStore();
  DeviceTable table(store.get());
  Hello hello = From("pi", 11);
  hello.site = "office";
  ASSERT_TRUE(table.Admit({0}, 1, hello).ok());
  ASSERT_TRUE(table.Admit({0}, 2, From("pi", 12)).ok());
  ASSERT_TRUE(table.Admit({1}, 3, hello).ok()) << "another process";
  EXPECT_EQ(table.with_site(), 2);
  hello.device = 1;
  ASSERT_TRUE(table.Admit({1}, 4, hello).ok()) << "the first one again";
  EXPECT_EQ(table.with_site(), 2);
  table.Remove(1);
  table.Remove(2);
  EXPECT_EQ(table.with_site(), 1);
}

TEST(DeviceTable, KnowsWhoIsSilent) {
  const auto store = MakeMemoryStore();
  DeviceTable table(store.get());
  EXPECT_EQ(table.OldestSign(), std::nullopt);
  ASSERT_TRUE(table.Admit({10}, 1, From("a", 1)).ok());
  ASSERT_TRUE(table.Admit({20}, 2, From("b", 2)).ok());
  EXPECT_EQ(table.OldestSign(), TimePoint{10});
  table.Saw(1, {30});
  EXPECT_EQ(table.OldestSign(), TimePoint{20});
  EXPECT_THAT(table.SilentSince({25}), ElementsAre(2));
  table.Remove(2);
  EXPECT_EQ(table.Find(2), nullptr);
  EXPECT_TRUE(table.SilentSince({25}).empty());
}

}  // namespace
}  // namespace weft::cluster
