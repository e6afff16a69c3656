#pragma once
// PushLog: what each device has pushed, by its sequence numbers, as far back as it may still be
// answered.

#include <cstdint>
#include <vector>

#include "cluster/message.h"

namespace weft::sim {

// Threads: one.
class PushLog {
 public:
  struct Entry {
    uint64_t lease = 0;  // id; 0: this number was never sent
    int64_t step = 0;
    uint64_t term = 0;
    uint64_t incarnation = 0;
    int64_t version = 0;  // that it was computed with
    cluster::Range range;
    int64_t sent = 0;        // how often
    int64_t calls = 0;       // to push again, of its device, when it was first sent
    uint64_t fate_term = 0;  // of the newest acknowledgement; 0: none
    bool applied = false;    // what that said
  };

  // Null if it was not sent, or is long over. Valid until the next Add.
  Entry* Find(cluster::DeviceId device, uint64_t sequence) {
    if (device >= devices_.size()) return nullptr;
    OneDevice& log = devices_[device];
    if (sequence < log.first || sequence - log.first >= log.entries.size()) return nullptr;
    Entry& entry = log.entries[sequence - log.first];
    return entry.lease == 0 ? nullptr : &entry;
  }

  // The entry of a push, new (sent 0 times) or there before; null for one that is long over, or
  // whose number is far beyond the last.
  Entry* Add(const cluster::Push& push) {
    if (push.device >= devices_.size()) devices_.resize(push.device + 1);
    OneDevice& log = devices_[push.device];
    if (push.sequence < log.first || push.sequence - log.first > log.entries.size() + kMostGap) {
      return nullptr;
    }
    const uint64_t at = push.sequence - log.first;
    if (at >= log.entries.size()) log.entries.resize(at + 1);
    if (log.entries[at].lease == 0) {
      log.entries[at] = {.lease = push.lease.id,
                         .step = push.lease.step,
                         .term = push.term,
                         .incarnation = push.incarnation,
                         .version = push.version,
                         .range = push.range};
    }
    Shorten(&log);
    return Find(push.device, push.sequence);
  }

 private:
  // Numbers whose update was given up before it could be sent.
  static constexpr uint64_t kMostGap = 1 << 16;
  // Entries are dropped when they are so many, and older by so many steps than the newest.
  static constexpr size_t kMany = 128;
  static constexpr int64_t kOldSteps = 16;

  struct OneDevice {
    uint64_t first = 1;  // sequence number of the first entry
    std::vector<Entry> entries;
  };

  static void Shorten(OneDevice* log) {
    const size_t half = log->entries.size() / 2;
    if (log->entries.size() < kMany) return;
    if (log->entries[half].step + kOldSteps > log->entries.back().step) return;
    log->entries.erase(log->entries.begin(), log->entries.begin() + static_cast<long>(half));
    log->first += half;
  }

  std::vector<OneDevice> devices_;  // by id
};

}  // namespace weft::sim
