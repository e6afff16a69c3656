#include "net/sqlite_store.h"

#include <sqlite3.h>

#include <map>
#include <optional>
#include <utility>

namespace weft::net {
namespace {

// PRAGMA user_version of the layout: one table of records.
constexpr int kVersion = 1;
// PRAGMA application_id: "weft" in ASCII, so that no other program's database is taken for ours.
constexpr int kApplication = 0x77656674;

Code CodeOf(int sqlite_code) {
  switch (sqlite_code & 0xFF) {  // the upper bits refine
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return Code::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_PROTOCOL:
      return Code::kUnavailable;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return Code::kPermissionDenied;
    case SQLITE_CANTOPEN:
      return Code::kNotFound;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::kDataLoss;
    default:
      return Code::kInternal;
  }
}

// The least string above all that begin with `prefix`; nothing if there is none.
std::optional<std::string> EndOfPrefix(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xFF) prefix.pop_back();
  if (prefix.empty()) return std::nullopt;
  prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

// A prepared statement. The calls chain up to Step, which says whether there is a row.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  // Blobs, so that keys compare byte by byte and may hold any byte. `value` must live until Step.
  void Bind(int index, const std::string& value) {
    sqlite3_bind_blob64(statement_.get(), index, value.data(), value.size(), SQLITE_STATIC);
  }
  int Step() { return sqlite3_step(statement_.get()); }
  void Reset() { sqlite3_reset(statement_.get()); }
  std::string Column(int index) const {
    const void* data = sqlite3_column_blob(statement_.get(), index);
    const int size = sqlite3_column_bytes(statement_.get(), index);
    return data == nullptr ? std::string()
                           : std::string(static_cast<const char*>(data), static_cast<size_t>(size));
  }
  int64_t Number(int index) const { return sqlite3_column_int64(statement_.get(), index); }

 private:
  std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement_;
};

class SqliteStore final : public cluster::CoordStore {
 public:
  static Result<std::unique_ptr<CoordStore>> Open(const std::string& path,
                                                  const SqliteOptions& options) {
    sqlite3* raw = nullptr;
    const int code =
        sqlite3_open_v2(path.c_str(), &raw,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    std::unique_ptr<SqliteStore> store(new SqliteStore(path, raw));  // also after an error
    if (code != SQLITE_OK) return store->Error("open", code);
    RETURN_IF_ERROR(store->Prepare(options));
    return std::unique_ptr<CoordStore>(std::move(store));
  }

  Result<std::optional<std::string>> Get(const std::string& key) override {
    ASSIGN_OR_RETURN(Statement select, Compile("SELECT value FROM records WHERE key = ?1"));
    select.Bind(1, key);
    const int code = select.Step();
    if (code == SQLITE_DONE) return std::optional<std::string>();
    if (code != SQLITE_ROW) return Error("get", code);
    return std::optional(select.Column(0));
  }

  Status Put(const std::map<std::string, std::string>& records) override {
    // IMMEDIATE: the wait for another writer happens here, before anything is changed.
    RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
    Status status = Write(records);
    if (status.ok()) status = Execute("COMMIT");
    if (!status.ok() && sqlite3_get_autocommit(database_.get()) == 0) {
      // SQLite rolls back by itself on some errors; on all others this does.
      sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    return status;
  }

  Result<std::map<std::string, std::string>> List(const std::string& prefix) override {
    const std::optional<std::string> end = EndOfPrefix(prefix);
    ASSIGN_OR_RETURN(Statement select,
                     Compile(end ? "SELECT key, value FROM records WHERE key >= ?1 AND key < ?2"
                                 : "SELECT key, value FROM records WHERE key >= ?1"));
    select.Bind(1, prefix);
    if (end) select.Bind(2, *end);
    std::map<std::string, std::string> records;
    int code = select.Step();
    for (; code == SQLITE_ROW; code = select.Step()) {
      records.emplace(select.Column(0), select.Column(1));
    }
    if (code != SQLITE_DONE) return Error("list", code);
    return records;
  }

 private:
  SqliteStore(std::string path, sqlite3* database) : path_(std::move(path)), database_(database) {}

  Status Prepare(const SqliteOptions& options) {
    sqlite3_extended_result_codes(database_.get(), 1);
    const auto timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(options.busy_timeout);
    sqlite3_busy_timeout(database_.get(), static_cast<int>(timeout.count()));
    RETURN_IF_ERROR(CheckOwner());
    // A write-ahead log: readers and the writer do not wait for each other. FULL: a commit is on
    // the disk when it returns. With NORMAL a loss of power could take the last commits back, and
    // with them a fencing term that devices have seen already, or a lease whose update is applied.
    RETURN_IF_ERROR(Execute("PRAGMA journal_mode = WAL"));
    RETURN_IF_ERROR(Execute("PRAGMA synchronous = FULL"));
    ASSIGN_OR_RETURN(const int64_t page_bytes, Number("PRAGMA page_size"));
    const int64_t pages = options.max_bytes / page_bytes;
    RETURN_IF_ERROR(Execute("PRAGMA max_page_count = " + std::to_string(pages)));
    return Execute(
        "CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, value BLOB NOT NULL) "
        "WITHOUT ROWID");
  }

  // An empty file becomes ours; any other must be already.
  Status CheckOwner() {
    ASSIGN_OR_RETURN(const int64_t objects, Number("SELECT count(*) FROM sqlite_master"));
    if (objects == 0) {
      RETURN_IF_ERROR(Execute("PRAGMA application_id = " + std::to_string(kApplication)));
      return Execute("PRAGMA user_version = " + std::to_string(kVersion));
    }
    ASSIGN_OR_RETURN(const int64_t application, Number("PRAGMA application_id"));
    if (application != kApplication) {
      return base::FailedPrecondition(path_ +
                                      ": got another program's database, want a weft store");
    }
    ASSIGN_OR_RETURN(const int64_t version, Number("PRAGMA user_version"));
    if (version != kVersion) {
      return base::FailedPrecondition(path_ + ": store version: got " + std::to_string(version) +
                                      ", want " + std::to_string(kVersion));
    }
    return OkStatus();
  }

  Status Write(const std::map<std::string, std::string>& records) {
    ASSIGN_OR_RETURN(Statement put, Compile("INSERT INTO records (key, value) VALUES (?1, ?2) "
                                            "ON CONFLICT (key) DO UPDATE SET value = ?2"));
    for (const auto& [key, value] : records) {
      put.Bind(1, key);
      put.Bind(2, value);
      if (const int code = put.Step(); code != SQLITE_DONE) return Error("put", code);
      put.Reset();
    }
    return OkStatus();
  }

  Result<Statement> Compile(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr);
    if (code != SQLITE_OK) return Error("prepare", code);
    return Statement(statement);
  }

  Status Execute(const std::string& sql) {
    const int code = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? OkStatus() : Error(sql.c_str(), code);
  }

  Result<int64_t> Number(const char* sql) {
    ASSIGN_OR_RETURN(Statement query, Compile(sql));
    if (const int code = query.Step(); code != SQLITE_ROW) return Error(sql, code);
    return query.Number(0);
  }

  Status Error(const char* what, int sqlite_code) const {
    return {CodeOf(sqlite_code), path_ + ": " + what + ": " + sqlite3_errmsg(database_.get())};
  }

  const std::string path_;
  const std::unique_ptr<sqlite3, CloseDatabase> database_;
};

}  // namespace

Result<std::unique_ptr<cluster::CoordStore>> OpenSqliteStore(const std::string& path,
                                                             const SqliteOptions& options) {
  return SqliteStore::Open(path, options);
}

}  // namespace weft::net
