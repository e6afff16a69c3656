#pragma once
// Timeline: what every device of a simulated run did when, in bins of equal time. A run has no
// known length, so whenever it outgrows the bins, two become one: memory is bounded however long it
// is.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/observer.h"

namespace weft::app {

// Threads: one.
class Timeline : public sim::Observer {
 public:
  // Of all rows, 20 bytes each; devices beyond are not recorded.
  static constexpr size_t kMostCells = 1 << 21;
  static constexpr size_t kLeastBins = 128, kMostBins = 1024;

  // Seconds of a bin, by what they were spent on; the rest of the bin is idle. Sending and
  // receiving payloads goes on beside these.
  struct Bin {
    float compute = 0;
    float off = 0;
    float sending = 0;
    float receiving = 0;
    uint8_t joins = 0;  // 1: at least one
    uint8_t ends = 0;   // of a process
  };
  struct Row {
    std::string name;
    std::vector<Bin> bins;  // empty: nothing to tell
    int64_t starts = 0;     // of a process
    int64_t ends = 0;
    double compute_s = 0;
    double off_s = 0;
  };
  struct RunBin {
    double samples = 0;  // applied
    int64_t steps = 0;
    int64_t epochs = 0;
    float hub_off = 0;  // seconds
    int64_t hub_ends = 0;
  };

  // `names`: of the devices that are there from the start, by number.
  explicit Timeline(const std::vector<std::string>& names);

  // Closes what is still open. To be called once, at the end of the run.
  void Finish(TimePoint now);

  double end_s() const { return base::Seconds(end_ - TimePoint{}); }
  double bin_s() const { return base::Seconds(width_); }
  size_t bins_used() const;
  const std::vector<Row>& rows() const { return rows_; }
  const std::vector<RunBin>& run() const { return run_; }
  int64_t devices() const { return devices_; }  // seen, recorded or not

  void OnHubStarted(TimePoint now, uint64_t term, int64_t first_step) override;
  void OnHubKilled(TimePoint now) override;
  void OnEvent(TimePoint now, const cluster::Event& event) override;
  void OnSent(TimePoint now, const cluster::Envelope& envelope) override;
  void OnDelivered(TimePoint now, const cluster::Envelope& envelope) override;
  void OnDeviceUp(TimePoint now, int device, uint64_t incarnation) override;
  void OnDeviceDown(TimePoint now, int device) override;
  void OnJoined(TimePoint now, int device, cluster::DeviceId id) override;
  void OnDial(TimePoint now, int device) override;
  void OnActivity(TimePoint now, int device, sim::Activity activity) override;

 private:
  // Payloads of one direction that are under way.
  struct Transfer {
    int64_t count = 0;
    TimePoint since;
  };
  // What a row is in the middle of.
  struct Now {
    sim::Activity activity = sim::Activity::kOff;
    TimePoint since;
    Transfer sending;
    Transfer receiving;
    cluster::DeviceId id = 0;
  };

  bool Has(int device);
  size_t BinAt(TimePoint now);
  void Add(size_t row, float Bin::*what, TimePoint from, TimePoint until);
  void CloseActivity(size_t row, TimePoint now);
  void Begin(Transfer* transfer, TimePoint now);
  void End(size_t row, Transfer* transfer, float Bin::*what, TimePoint now, bool all);
  void EndTransfers(size_t row, TimePoint now);
  void AddHubOff(TimePoint until);
  void Coarsen();

  const size_t bins_;
  const size_t most_rows_;
  Duration width_ = std::chrono::microseconds(10);
  std::vector<Row> rows_;
  std::vector<Now> nows_;
  std::vector<RunBin> run_;
  std::unordered_map<cluster::DeviceId, int> numbers_;  // of ids that live
  int64_t devices_ = 0;
  bool hub_on_ = true;
  TimePoint hub_since_;
  bool done_ = false;
  TimePoint end_;
};

}  // namespace weft::app
