#pragma once
// CoordStore: where a coordinator keeps what must outlive it: a small ordered map of records,
// changed in transactions. SQLite stands behind it for one machine (net/sqlite_store.h); etcd is
// the other member of the family.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace weft::cluster {

// Threads: one.
class CoordStore {
 public:
  virtual ~CoordStore() = default;
  // Nothing if the key is absent.
  virtual Result<std::optional<std::string>> Get(const std::string& key) = 0;
  // All puts happen or none.
  virtual Status Put(const std::map<std::string, std::string>& records) = 0;
  // Keys that begin with `prefix`, with their values, in key order.
  virtual Result<std::map<std::string, std::string>> List(const std::string& prefix) = 0;
};

std::unique_ptr<CoordStore> MakeMemoryStore();

}  // namespace weft::cluster
