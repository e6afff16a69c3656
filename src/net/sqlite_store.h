#pragma once
// SqliteStore: a CoordStore in one SQLite file, for a coordinator on one machine.

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cluster/coord_store.h"

namespace weft::net {

struct SqliteOptions {
  // How long a call waits for another process that writes to the same file.
  Duration busy_timeout = std::chrono::seconds(2);
  int64_t max_bytes = int64_t{4} << 30;  // the file does not grow above this
};

// Opens the store at `path`, creating it (but not its folder). A Put that has returned survives the
// loss of power. Besides `path` there are `path`-wal and `path`-shm while it is open.
// Threads: one. Errors, here and from the calls of the store: kNotFound: no such folder;
// kPermissionDenied; kDataLoss: not a database, or damaged; kFailedPrecondition: not a weft store,
// or one of another version; kUnavailable: another process holds it, or the disk fails;
// kResourceExhausted: the disk is full or max_bytes is reached, and nothing of that Put was kept.
Result<std::unique_ptr<cluster::CoordStore>> OpenSqliteStore(const std::string& path,
                                                             const SqliteOptions& options);

}  // namespace weft::net
