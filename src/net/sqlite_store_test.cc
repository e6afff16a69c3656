#include "net/sqlite_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace weft::net {
namespace {

using cluster::CoordStore;

class SqliteStoreTest : public ::testing::Test {
 protected:
  SqliteStoreTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weft_store_XXXXXX").string();
    CHECK(mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    path_ = pattern + "/state.db";
  }
  ~SqliteStoreTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<CoordStore> Open(const SqliteOptions& options = {}) {
    Result<std::unique_ptr<CoordStore>> store = OpenSqliteStore(path_, options);
    CHECK(store.ok()) << store.status().ToString();
    return std::move(store).value();
  }
  Code OpenError(const std::string& path) {
    const auto store = OpenSqliteStore(path, {});
    return store.ok() ? Code::kOk : store.status().code();
  }

  std::string folder_;
  std::string path_;
};

TEST_F(SqliteStoreTest, KeepsWhatWasPutAcrossAReopen) {
  const std::string binary("\0\xFF\0x", 4);
  {
    const auto store = Open();
    EXPECT_EQ(store->Get("term")->has_value(), false);
    ASSERT_EQ(store->Put({{"term", "1"}, {"run", binary}, {"empty", ""}}), OkStatus());
    ASSERT_EQ(store->Put({{"term", "2"}}), OkStatus());
    EXPECT_EQ(**store->Get("term"), "2");
  }
  const auto store = Open();
  EXPECT_EQ(**store->Get("term"), "2");
  EXPECT_EQ(**store->Get("run"), binary);
  EXPECT_EQ(**store->Get("empty"), "");
  EXPECT_EQ(store->Get("ter")->has_value(), false);
}

TEST_F(SqliteStoreTest, ListsAPrefixInKeyOrder) {
  const auto store = Open();
  ASSERT_EQ(store->Put({{"a", "0"},
                        {"lease/2", "two"},
                        {"lease/10", "ten"},
                        {"lease/\xFF", "last"},
                        {"lease", "no slash"},
                        {"lease0", "after the slash"},
                        {"\xFF\xFFz", "end"}}),
            OkStatus());
  const auto leases = store->List("lease/");
  ASSERT_TRUE(leases.ok()) << leases.status().ToString();
  EXPECT_EQ(*leases, (std::map<std::string, std::string>{
                         {"lease/10", "ten"}, {"lease/2", "two"}, {"lease/\xFF", "last"}}));
  EXPECT_EQ(store->List("")->size(), 7u);
  EXPECT_EQ(store->List("\xFF")->size(), 1u);
  EXPECT_EQ(store->List("nothing")->size(), 0u);
}

TEST_F(SqliteStoreTest, AFullDiskLeavesTheRecordsAsTheyWere) {
  const auto store = Open({.max_bytes = 64 << 10});
  ASSERT_EQ(store->Put({{"term", "7"}, {"k", "old"}}), OkStatus());
  const Status status = store->Put({{"k", "new"}, {"z", std::string(1 << 20, 'z')}});
  EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.ToString();
  EXPECT_EQ(**store->Get("k"), "old") << "all puts happen or none";
  EXPECT_EQ(store->Get("z")->has_value(), false);
  EXPECT_EQ(store->Put({{"k", "small"}}), OkStatus()) << "what fits still works";
}

TEST_F(SqliteStoreTest, AnotherWriterMakesItUnavailableUntilItIsDone) {
  const auto store = Open({.busy_timeout = std::chrono::milliseconds(1)});
  ASSERT_EQ(store->Put({{"k", "1"}}), OkStatus());
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(store->Put({{"k", "2"}}).code(), Code::kUnavailable);
  EXPECT_EQ(**store->Get("k"), "1") << "reading goes on";
  ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(store->Put({{"k", "2"}}), OkStatus());
  sqlite3_close(other);
}

TEST_F(SqliteStoreTest, CommitsReachTheDisk) {
  const auto store = Open();
  ASSERT_EQ(store->Put({{"k", "1"}}), OkStatus());
  // Not through the store's own connection: what a process sees that starts after a kill -9.
  std::filesystem::copy(path_, folder_ + "/copy.db");
  std::filesystem::copy(path_ + "-wal", folder_ + "/copy.db-wal");
  const auto copy = OpenSqliteStore(folder_ + "/copy.db", {});
  ASSERT_TRUE(copy.ok()) << copy.status().ToString();
  EXPECT_EQ(**(*copy)->Get("k"), "1");
}

TEST_F(SqliteStoreTest, RefusesWhatIsNotAStore) {
  EXPECT_EQ(OpenError(folder_ + "/missing/state.db"), Code::kNotFound);
  EXPECT_EQ(OpenError(folder_), Code::kNotFound);
  const std::string text = folder_ + "/text";
  std::ofstream(text) << "This is a file of some length, but it is not a database of any kind.\n"
                      << std::string(4096, 'x');
  EXPECT_EQ(OpenError(text), Code::kDataLoss);

  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ + "/other.db").c_str(), &other), SQLITE_OK);
  sqlite3_exec(other, "CREATE TABLE songs (name TEXT)", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  EXPECT_EQ(OpenError(folder_ + "/other.db"), Code::kFailedPrecondition);

  Open();
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  sqlite3_exec(other, "PRAGMA user_version = 99", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  EXPECT_EQ(OpenError(path_), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace weft::net
