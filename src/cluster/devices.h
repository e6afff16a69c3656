#pragma once
// DeviceTable: who takes part in the run: ids, names, connections and signs of life.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cluster/action.h"
#include "cluster/coord_store.h"
#include "cluster/message.h"

namespace weft::cluster {

// What a device had for so long that it was given to another one as well.
struct Overdue {
  int64_t samples = 0;
  TimePoint since;
};

struct Device {
  DeviceId id = 0;
  std::string name;
  uint64_t incarnation = 0;
  ConnectionId connection = 0;
  TimePoint last_seen;
  bool silent = false;             // marked so, and not seen since
  std::string endpoint;            // where others can dial it; empty: nowhere
  std::string site;                // where it stands; empty: not said
  int64_t shard = -1;              // of the data; -1: none
  DeviceStats stats;               // as it said last
  std::optional<Overdue> overdue;  // the first such, until it knows its speed
};

// Each call takes O(log n) of n devices, those that name devices that for each of them.
class DeviceTable {
 public:
  // `store` must outlive the table; ids given and names are kept in it, so that an id is never
  // given twice within a run, whatever restarts.
  // `shards`: parts of the data that stand for devices' own; each is given to one name.
  explicit DeviceTable(CoordStore* store, int64_t shards = 0) : store_(store), shards_(shards) {}

  // Reads what an earlier coordinator of this run gave out. Errors: of the store; kDataLoss.
  Status Load();

  struct Admission {
    DeviceId device = 0;
    bool again = false;                    // had this id before
    std::optional<ConnectionId> replaced;  // an older connection of the same device
  };
  // Admits a device. It gets its old id back if it shows the incarnation that had it, else a new
  // one. Errors: of the store; the table is unchanged then.
  Result<Admission> Admit(TimePoint now, ConnectionId connection, const Hello& hello);

  // Null if the device is not in the run now.
  const Device* Find(DeviceId id) const;
  // True if it was marked as silent until now.
  bool Saw(DeviceId id, TimePoint now);
  void Note(DeviceId id, const DeviceStats& stats);
  void NoteOverdue(DeviceId id, const Overdue& overdue);
  void Remove(DeviceId id);

  // Those in the run now, by id.
  const std::map<DeviceId, Device>& living() const { return living_; }
  // Of those, how many have said their site.
  int64_t with_site() const { return with_site_; }
  // Those not seen since `then`, by id.
  std::vector<DeviceId> SilentSince(TimePoint then) const;
  // Marks those not seen since `then` as silent, until they are seen again. Those that were not
  // marked yet, by id.
  std::vector<DeviceId> MarkSilent(TimePoint then);
  std::set<DeviceId> silent() const;
  // When the longest silent device was last seen; and of those that are not marked.
  std::optional<TimePoint> OldestSign() const;
  std::optional<TimePoint> OldestUnmarked() const;

 private:
  // A name as people gave it; those who share it are called "pi", "pi-2", "pi-3", ...
  struct Stem {
    int64_t first_free = 1;  // no number below it is
    int64_t users = 0;
  };
  struct Name {
    std::string stem;
    int64_t number = 1;
  };
  std::string TakeName(DeviceId id, const std::string& wanted);
  void FreeName(DeviceId id);

  Result<int64_t> ShardFor(const std::string& name);
  using BySign = std::set<std::pair<TimePoint, DeviceId>>;  // by last_seen
  BySign& SignsOf(const Device& device) { return device.silent ? silent_ : heard_; }

  CoordStore* store_;
  int64_t shards_;
  std::map<std::string, int64_t> shard_of_;  // by name
  DeviceId next_id_ = 1;
  std::map<DeviceId, uint64_t> incarnations_;  // of every id ever given
  std::map<DeviceId, Device> living_;
  int64_t with_site_ = 0;
  BySign heard_;   // of the living, those that are not marked as silent,
  BySign silent_;  // and those that are
  std::map<std::string, Stem> stems_;
  std::map<DeviceId, Name> names_;  // of the living
  std::set<std::string> taken_;     // names
};

}  // namespace weft::cluster
