#include "cluster/coord_store.h"

namespace weft::cluster {
namespace {

class MemoryStore : public CoordStore {
 public:
  Result<std::optional<std::string>> Get(const std::string& key) override {
    const auto it = records_.find(key);
    if (it == records_.end()) return std::optional<std::string>();
    return std::optional<std::string>(it->second);
  }
  Status Put(const std::map<std::string, std::string>& records) override {
    for (const auto& [key, value] : records) records_[key] = value;
    return OkStatus();
  }
  Result<std::map<std::string, std::string>> List(const std::string& prefix) override {
    std::map<std::string, std::string> found;
    for (auto it = records_.lower_bound(prefix);
         it != records_.end() && it->first.starts_with(prefix); ++it) {
      found.insert(*it);
    }
    return found;
  }

 private:
  std::map<std::string, std::string> records_;
};

}  // namespace

std::unique_ptr<CoordStore> MakeMemoryStore() { return std::make_unique<MemoryStore>(); }

}  // namespace weft::cluster
