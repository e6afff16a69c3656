#pragma once
// Coordinator: admits devices, deals the leases of one step after another, watches for devices that
// die, keeps the ledger and ends the run. It never touches a tensor.
//
//   waiting -> stepping  -> (reshaping) -> (paused for evaluation) -> waiting ... -> finishing ->
//   done
//           -> streaming -> settling ->
//
// A step is done when the leaders of all ranges have said Committed. In a stream there are no
// steps: each lease is committed by itself, and the stream ends with nothing under way (it settles)
// at an epoch's end, for a checkpoint, and before leaders or the mode change. Fencing: the term
// grows by one at each start and is in every message; what comes with another term is not heard. A
// lease expires: one that its holder does not know of, or has had for far longer than steps take
// (patience.h), goes to another device as well, and whoever is first counts. Which ones are out it
// asks the leader, and only once a step takes that long.
// Source of the lease idea: Gray and Cheriton 1989, Leases; fencing as in Chubby's sequencers
// (Burrows 2006).

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cluster/action.h"
#include "cluster/commit_book.h"
#include "cluster/coord_store.h"
#include "cluster/dealer.h"
#include "cluster/deck.h"
#include "cluster/devices.h"
#include "cluster/job_spec.h"
#include "cluster/layout_keeper.h"
#include "cluster/ledger.h"
#include "cluster/link_keeper.h"
#include "cluster/message.h"
#include "cluster/mode_chooser.h"
#include "cluster/patience.h"
#include "cluster/run_records.h"
#include "cluster/site_keeper.h"
#include "cluster/split_watch.h"
#include "cluster/step_plan.h"
#include "cluster/stream_dealer.h"
#include "plan/leaders.h"
#include "plan/saturation.h"
#include "plan/share_keeper.h"

namespace weft::cluster {

// Threads: one. No call blocks, except on the store.
class Coordinator {
 public:
  // `spec` must be valid. `store` holds this run's records only and must outlive the coordinator.
  // `first_step` and `first_version` are 0, or those of the snapshot that the leader resumes from.
  Coordinator(JobSpec spec, CoordStore* store, int64_t first_step, int64_t first_version);
  Coordinator(JobSpec spec, CoordStore* store, int64_t first_step)
      : Coordinator(std::move(spec), store, first_step, first_step) {}

  // Call once, before anything else. A failing store ends in Stop.
  Actions Start(TimePoint now);

  // The first message of a connection that has no device yet.
  Actions OnHello(TimePoint now, ConnectionId connection, const Hello& hello);
  // The connection of an admitted device broke.
  Actions OnDisconnected(TimePoint now, DeviceId device, const std::string& reason);
  // Something of the device has come, if only a part of a message.
  Actions OnSign(TimePoint now, DeviceId device);
  // Any other message; `from` as the host knows it, not as the message claims.
  Actions Handle(TimePoint now, Address from, const Message& message);

  std::optional<TimePoint> NextWake() const;
  Actions Tick(TimePoint now);

  // Goes on after an EpochDone with pause_for_eval.
  Actions Continue(TimePoint now);
  // The target is reached: ends with a checkpoint once the step that is under way is done.
  Actions StopEarly(TimePoint now, const std::string& reason);
  // Asked to end: the same. Without workers the step that is under way is given up.
  Actions Drain(TimePoint now, const std::string& reason);

  // Devices that have missed so many heartbeats get no leases while there are others.
  static constexpr int kQuietHeartbeats = 2;
  // Devices that have missed so many, and were silent for so long, lose what others can do instead:
  // leases, ranges that have a standby, and standing by. They stay in the run, and are welcome when
  // they are heard again, until the device timeout.
  static constexpr double kSilentHeartbeats = 2.5;
  static constexpr Duration kLeastSilence = std::chrono::milliseconds(500);

  static constexpr Address kAddress = {kCoordinatorDevice, Role::kCoordinator};
  uint64_t term() const { return term_; }
  bool done() const { return phase_ == Phase::kDone; }
  // As long as each takes a whole batch.
  int64_t total_steps() const { return plan_.total_steps(); }
  const Layout& layout() const { return seats_.layout(); }
  const Ledger& ledger() const { return ledger_; }
  const DeviceTable& devices() const { return devices_; }

 private:
  // Waiting for workers; for a step to commit; for leases of a stream; for a stream to end; for
  // leaders to take their seats; for Continue; for the last checkpoint.
  enum class Phase {
    kWaiting,
    kStepping,
    kStreaming,
    kSettling,
    kReshaping,
    kPaused,
    kFinishing,
    kDone
  };
  // How a step's samples are cut into leases, and for whom.
  struct Cut {
    std::vector<Lease> leases;
    std::vector<DeviceId> owners;  // 0: anybody
    int64_t samples = 0;
  };

  void On(TimePoint now, Address from, const Hello& hello);
  void On(TimePoint now, Address from, const Heartbeat& heartbeat);
  void On(TimePoint now, Address from, const ReturnLease& returned);
  void On(TimePoint now, Address from, const Fault& fault);
  void On(TimePoint now, Address from, const Bye& bye);
  void On(TimePoint now, Address from, const Committed& committed);
  void On(TimePoint now, Address from, const Missing& missing);
  void On(TimePoint now, Address from, const CheckpointDone& done);
  void On(TimePoint now, Address from, const StreamEnded& ended);
  void On(TimePoint now, Address from, const Seated& seated);
  template <class Other>
  void On(TimePoint now, Address from, const Other& other);
  void NotTaken(Address from, const Message& message);

  // coordinator.cc: devices and the end; coordinator_step.cc: steps.
  Status Restore();
  void Admitted(const DeviceTable::Admission& admission, ConnectionId connection);
  void Advance();
  void BeginStep();
  Cut CutStep();
  void AddLeases(int64_t share, DeviceId owner, Cut* cut);
  plan::Pace PaceOf(const Device& device) const;
  plan::DevicePace DevicePaceOf(const Device& device) const;
  std::vector<DeviceId> Fastest(std::vector<DeviceId> devices, size_t count) const;
  void CutBySpeed(std::vector<DeviceId> devices, Cut* cut);
  void SendBeginStep(const Layout::Part& part);
  bool AskForCheckpoint();
  void SendSave(const Layout::Part& part);
  std::optional<Lease> Hopeless() const;
  void LookForHope();
  void NoteQuiet();
  void Deal(bool first = false);
  void DealCopies();
  void SendGrant(const Dealer::Dealt& dealt, int64_t joint = 0);
  std::vector<Lease> ProbablyNext() const;
  // Ranges apply a step when each has its quorum, or what is not left out, of leases that need not
  // be the same. But of a lease that a part of the ranges has applied, the ledger of a checkpoint
  // could not tell.
  bool MayCarry() const {
    return (spec_.aggregation.quorum < 1 || IsLocal()) && seats_.layout().parts.size() > 1;
  }
  bool MayDiffer() const { return !wants_checkpoint_ || seats_.layout().parts.size() == 1; }
  void AskWhatIsMissing();
  Duration Timeout() const { return std::chrono::milliseconds(spec_.device_timeout_ms); }
  Duration Beat() const { return std::chrono::milliseconds(spec_.heartbeat_ms); }
  void Lose(DeviceId device, const std::string& reason);
  void FinishStep(TimePoint now);
  void RecordStep(const Committed& first);
  void CloseEpoch();
  void AfterStep(bool ends_epoch);
  bool SaveLedger();
  bool StepsTakeWholeBatches() const;

  // coordinator_silence.cc: devices that are not heard of.
  void NoteCall(TimePoint now);
  Duration Silence() const;
  std::optional<TimePoint> SilenceWake() const;
  void LookForSilent();
  void MarkSilent();
  void TakeOutSilent();
  void NoteSign(DeviceId device);
  void RelieveSilent();

  // coordinator_local.cc: local placement, where only its owner computes a lease.
  bool IsLocal() const { return !spec_.shard_samples.empty(); }
  bool HasSamples(const Device& device) const;
  bool Absent() const;
  DeviceId OwnerOf(const Lease& lease) const;
  bool MayHave(const Lease& lease, DeviceId device) const;
  bool WaitsForOwners();
  void CutShards(std::vector<DeviceId> devices, Cut* cut);
  void AddShard(int64_t shard, int64_t share, DeviceId owner, Cut* cut);
  void LeaveOutLate(const Missing& missing);
  bool LeaveOutSilent(const std::set<DeviceId>& silent);
  void TellLeftOut();
  void NoteReturn(DeviceId device, const ReturnLease& returned);
  bool OnlyAwaysLeft() const;
  void StartAgain(const Lease& lease);

  // coordinator_stream.cc: runs without steps.
  bool Streams() const { return mode_ != aggregate::Mode::kSync; }
  void BeginStream();
  void SendBeginStream(const Layout::Part& part, aggregate::Mode mode);
  int64_t AtWork() const;
  void DealStream();
  std::optional<Lease> CutForStream(DeviceId device);
  void ShareStream();
  void OnStreamCommitted(TimePoint now, const Committed& committed);
  void LookForStall();
  void RecordStream(const Committed& committed);
  void EmitRound();
  void Settle();
  void EndStreamIfSettled();
  void PutBackUnheld();
  void SendEndStream(const Layout::Part& part);
  void StreamOver();

  // coordinator_sites.cc: sums of sites.
  bool MaySum() const;
  void TrySites();
  void WatchSites(const SplitWatch::Step& step);
  void PlanSites();
  void TellSites();
  std::map<DeviceId, int64_t> LeasesByRelay(const std::vector<Dealer::Dealt>& dealt) const;

  // coordinator_mode.cc: sync or async.
  void ChooseMode(const StepDone& done);
  RoundTimes::Communication PredictCommunication() const;
  double ExchangeSeconds(const DeviceStats& stats) const;
  void TakeMode();

  // coordinator_link.cc: what links carry.
  void PlanLinks();
  bool LinksCarryAll(const std::vector<LinkKeeper::Member>& members) const;
  int64_t StepsAtOnce() const;

  // coordinator_layout.cc: who leads what.
  bool ReshapeIfDue();
  plan::LeaderInput LinksOf(std::vector<plan::LinkedDevice>* devices) const;
  Layout LayoutOf(const std::vector<plan::LedRange>& ranges) const;
  std::vector<plan::LedRange> Held() const;
  void NoteLeaders();
  void BeginReshape(Layout next);
  void SendReshape(const Reshape& reshape);
  void SayReshapeAgain();
  void SeatStandbys();
  void TellLeaderAgain(DeviceId device);
  void TellPartAgain(const Layout::Part& part);
  void LoseSeats(DeviceId device);
  void AfterLoss(const LayoutKeeper::Loss& loss, const std::string& reason);
  void TellLayout();

  // coordinator_split.cc: what the times of steps say.
  double BytesAsSent(const codec::CodecOptions& codec) const;
  plan::Link MeasuredHubLink() const;
  plan::Link HubLink() const;
  bool LinksMeasured() const;
  double FlatBytesSeconds(const plan::Link& hub) const;
  void MeasureLeading();
  double ComputingOf(const Committed& record) const;
  void WatchStep(double seconds);
  std::optional<plan::SaturationPrediction> PredictSaturation() const;
  void WatchSaturation(double seconds);
  bool MayTrySplit() const;

  void End(RunDone::How how, const std::string& reason);
  void Fail(const Status& status);
  void FinishWhenSaved();
  void Finish();

  bool CheckpointAfter(int64_t step) const;
  void ToWorker(DeviceId device, Message message);
  void Emit(Event event) { actions_.push_back(cluster::Emit{std::move(event)}); }
  Actions Take() { return std::exchange(actions_, {}); }

  const JobSpec spec_;
  const StepPlan plan_;
  aggregate::Mode mode_;
  std::optional<ModeChooser> chooser_;        // where the job leaves it to weft
  std::optional<aggregate::Mode> next_mode_;  // once nothing is under way
  std::string mode_reason_;
  LayoutKeeper seats_;
  Deck deck_;
  CommitBook book_;
  DeviceTable devices_;
  RunRecords records_;
  Dealer dealer_;
  Ledger ledger_;
  Patience patience_;

  TimePoint now_;           // of the call under way
  TimePoint spare_until_;   // nobody is taken out before,
  TimePoint listen_until_;  // and nobody counts as silent before
  TimePoint step_began_;
  TimePoint ask_at_;         // what the open step still misses
  bool disturbed_ = false;   // the open step lasts longer than it would by itself
  std::vector<Lease> next_;  // of the step after the open one, probably

  // Of the open step: ranges that are applied, what the first of them told, what is committed.
  std::set<Range> applied_ranges_;
  std::optional<Committed> first_record_;
  double norm_squared_ = 0;
  std::vector<CommitBook::Done> committed_;
  // Of the step before: leases that some ranges' quorums have in them and others not, and who
  // holds them.
  std::vector<Lease> carried_;
  std::map<Range, std::set<uint64_t>> had_;  // those of them that a range has, by id
  std::vector<DeviceId> carried_by_;
  int64_t step_samples_ = 0;
  bool ends_epoch_ = false;  // nothing of the epoch will be left
  // Local placement: leases of the open step that leaders were told not to wait for, and devices
  // that have returned one in this epoch.
  size_t left_out_told_ = 0;
  std::set<DeviceId> unable_;

  LinkKeeper links_;
  LinksChanged told_links_;
  int64_t steps_at_once_ = 1;  // of the job's batch, that the open step covers
  plan::ShareKeeper shares_;
  plan::LeaderPlanner leaders_;
  SplitWatch split_;
  plan::SaturationWatch saturation_;
  SiteKeeper sites_;
  SplitWatch site_watch_;
  bool sum_sites_ = false;
  std::string site_reason_;  // why relays change
  std::vector<SitesChanged::Site> told_sites_;
  double leading_s_ = 0;     // of a leader's processor, an update of the whole vector
  Duration reshape_wait_{};  // before a change of the layout is said again,
  TimePoint reshape_at_;     // that is, then
  bool wants_flat_ = false;  // the split was not worth it
  std::string change_;       // why leaders change

  StreamDealer stream_;
  std::map<DeviceId, int64_t> stream_shares_;  // of those that are heard; empty: to be made
  std::vector<DeviceId> stream_quiet_;         // the others
  bool settling_ = false;                      // nothing new is dealt
  bool flushing_ = false;                      // buffers are being emptied
  int64_t stream_step_ = 0;                    // that the stream began with
  int quiet_looks_ = 0;                        // since anything was committed
  static constexpr int kMostQuietLooks = 3;    // a device timeout apart: then buffers are emptied
  int64_t round_dealt_ = 0;                    // samples, since step_ rose
  int64_t round_slots_ = 0;                    // leases, likewise
  int64_t rounds_ = 0;                         // since the stream began
  std::set<Range> ended_;                      // ranges whose stream is over
  bool uneven_ = false;                        // their versions differ
  StepDone round_;                             // what was committed since the last one was told

  Phase phase_ = Phase::kWaiting;
  uint64_t term_ = 0;
  int64_t step_;     // the step under way, or the next one
  int64_t version_;  // of the parameters it starts from
  int64_t epoch_ = 0;
  int64_t saved_step_;                       // what the newest checkpoint goes on from
  int64_t asked_step_;                       // what the newest one asked for goes on from
  bool wants_checkpoint_ = false;            // once the open step is done
  bool started_ = false;                     // a step was begun
  bool told_waiting_ = false;                // since the last step began
  std::optional<TimePoint> hopeless_since_;  // every device has returned some lease
  std::string return_reason_;                // the last
  std::optional<RunDone> ending_;            // decided, not yet carried out
  struct Sums {
    double loss = 0;
    int64_t correct = 0;
    int64_t samples = 0;
  };
  Sums sums_;        // of the epoch
  Actions actions_;  // of the call under way
};

}  // namespace weft::cluster
