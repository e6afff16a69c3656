#include "sim/cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "cluster/describe.h"

namespace weft::sim {
namespace {

// Of names that joined by chance.
std::string NumberedName(int number) { return fmt::format("device-{}", number); }

NetworkOptions NetworkFor(const ClusterOptions& options) {
  NetworkOptions network;
  network.hub = options.hub.link;
  network.segments = options.segments;
  network.wire = options.wire;
  network.wire.values = options.job.parameter_count();
  if (network.wire.sample_bytes == 0) network.wire.sample_bytes = options.job.fed_sample_bytes;
  network.most_chunks = options.wire.most_pieces;
  network.unfairness = options.wire.unfairness;
  network.silent_break = options.faults.silent_break;
  network.repeat_message = options.faults.repeat_message;
  network.reorder_message = options.faults.reorder_message;
  return network;
}

data::SampleOrder OrderFor(const ClusterOptions& options) {
  if (options.order.size() > 0) return options.order;
  return data::SampleOrder::Whole(1, options.job.samples);
}

}  // namespace

std::vector<DeviceOptions> EqualDevices(int count, double seconds_per_sample) {
  std::vector<DeviceOptions> devices;
  for (int i = 0; i < count; ++i) {
    DeviceOptions device;
    device.name = NumberedName(i);
    device.step_seconds.points = {{0, 0.0}, {1, seconds_per_sample}};
    devices.push_back(device);
  }
  return devices;
}

Cluster::Cluster(const ClusterOptions& options)
    : options_(options),
      workload_(options.workload ? options.workload : MakeToyWorkload(options.job)),
      loop_(options.seed),
      network_(&loop_, NetworkFor(options_)),
      disk_(options_.faults, &loop_.rng()) {
  audience_.Add(&meter_);
  for (const DeviceOptions& device : options_.devices) AddDevice(device);
  loop_.At(TimePoint{}, [this] { Begin(); });
}

void Cluster::Begin() {
  begun_ = true;
  StartHub();
  for (size_t i = 0; i < boxes_.size(); ++i) NextStretch(static_cast<int>(i));
  const FaultOptions& faults = options_.faults;
  Arm(faults.break_connection, &Cluster::BreakSome);
  Arm(faults.kill_device, &Cluster::KillSome);
  Arm(faults.kill_hub, &Cluster::RestartHub);
  Arm(faults.join_device, &Cluster::Join);
  Arm(faults.leave_device, &Cluster::LetOneLeave);
  Arm(faults.partition, &Cluster::CutSome);
  Arm(faults.clog, &Cluster::ClogSome);
  for (const ScheduledEvent& event : options_.schedule) {
    loop_.At(TimePoint{} + event.at, [this, &event] { Carry(event); });
  }
}

Cluster::~Cluster() = default;

bool Cluster::Run(Duration limit) {
  const TimePoint end = loop_.now() + limit;
  while (!done_ && loop_.Step(end)) {
  }
  // Let the devices hear of it.
  const TimePoint rest = loop_.now() + std::chrono::seconds(1);
  while (done_ && loop_.Step(rest)) {
  }
  return done_.has_value();
}

// ---- devices

int Cluster::AddDevice(DeviceOptions options, const DeviceTroubles& troubles,
                       const std::string& token) {
  const auto number = static_cast<int>(boxes_.size());
  if (options.name.empty()) options.name = NumberedName(number);
  auto box = std::make_unique<Box>(
      Box{.options = options,
          .troubles = troubles,
          .token = token.empty() ? options_.job.token : token,
          .host = network_.AddHost(options.link),
          .availability = Availability(options.availability, options_.seed, number),
          .tempo = Tempo(options, options_.seed, number)});
  if (options_.faults.unreadable_data > 0) {
    box->troubles.unreadable_data |= loop_.rng().NextUniform() < options_.faults.unreadable_data;
  }
  boxes_.push_back(std::move(box));
  meter_.AddDevice(options.name);
  if (begun_) NextStretch(number);
  return number;
}

void Cluster::NextStretch(int number) {
  const auto stretch = boxes_[Index(number)]->availability.Next();
  if (!stretch) return;
  const auto& [from, until] = *stretch;
  const auto on = [this, number, end = until] {
    SwitchOn(number);
    if (end == kForEver) return;
    loop_.At(TimePoint{} + end, [this, number] {
      SwitchOff(number);
      NextStretch(number);
    });
  };
  // A box that comes late is switched on late.
  if (TimePoint{} + from <= loop_.now()) {
    on();
  } else {
    loop_.At(TimePoint{} + from, on);
  }
}

void Cluster::SwitchOn(int number) {
  boxes_[Index(number)]->on = true;
  StartDevice(number);
}

void Cluster::SwitchOff(int number) {
  Box& box = *boxes_[Index(number)];
  box.on = false;
  box.process.reset();
}

ProcessOptions Cluster::ProcessFor(double crash, std::function<void()> on_crash) {
  return {&loop_, &network_, &audience_, Quiet() ? 0 : crash, std::move(on_crash)};
}

void Cluster::StartDevice(int number) {
  Box& box = *boxes_[Index(number)];
  if (!box.on || done_) return;
  box.process.reset();
  SimDevice::Options options;
  options.process = ProcessFor(options_.faults.crash_device, [this, number] {
    loop_.Trace(fmt::format("fault: {} crashes", boxes_[Index(number)]->options.name));
    boxes_[Index(number)]->process.reset();
    StartDeviceSoon(number, options_.faults.most_down);
  });
  options.number = number;
  options.host = box.host;
  options.worker.name = box.options.name;
  options.worker.token = box.token;
  options.worker.cores = box.options.cores;
  options.worker.memory_bytes = box.options.memory_bytes;
  options.worker.storage_bytes = box.options.storage_bytes;
  options.worker.site = box.options.site;
  options.worker.incarnation = loop_.rng().Next();
  options.worker.jitter_seed = loop_.rng().Next();
  options.troubles = box.troubles;
  options.box = &box.options;
  options.tempo = &box.tempo;
  options.workload = workload_.get();
  options.fed = {.sample_bytes = options_.job.fed_sample_bytes, .order = OrderFor(options_)};
  if (!options_.stretch_times.empty()) options.stretch_times = &options_.stretch_times;
  options.find_host = [this](const std::string& name) -> std::optional<HostId> {
    const int found = Named(name);
    return found < 0 ? std::nullopt : std::optional(boxes_[Index(found)]->host);
  };
  box.process = std::make_unique<SimDevice>(options, options_.job);
  box.process->Start();
}

void Cluster::StartDeviceSoon(int number, Duration most) {
  loop_.After(RandomDuration(loop_.rng(), Duration(0), most), [this, number] {
    Box& box = *boxes_[Index(number)];
    if (box.process == nullptr || box.process->stopped()) StartDevice(number);
  });
}

void Cluster::KillDevice(int number) { SwitchOff(number); }

// ---- the hub

void Cluster::StartHub() {
  if (hub_ != nullptr || done_) return;
  disk_.set_faulty(!Quiet());
  Hub::Options options;
  options.process = ProcessFor(options_.faults.crash_hub, [this] {
    loop_.Trace("fault: the hub crashes");
    KillHub();
    StartHubSoon();
  });
  options.costs = &options_.hub;
  options.disk_write_time = options_.faults.disk_write_time;
  options.disk = &disk_;
  options.start = workload_->Start();
  options.on_event = [this](const cluster::Event& event) { Record(event); };
  hub_ = std::make_unique<Hub>(options, options_.job);
  if (hub_->Start()) return;
  loop_.Trace("fault: the hub cannot start");
  KillHub();
  StartHubSoon();
}

void Cluster::KillHub() { hub_.reset(); }

void Cluster::StartHubSoon() {
  const Duration least = options_.hub.restart;
  loop_.After(RandomDuration(loop_.rng(), least, least + options_.faults.most_down),
              [this] { StartHub(); });
}

void Cluster::Record(const cluster::Event& event) {
  if (loop_.verbose()) loop_.Print(cluster::Describe(event));
  if (const auto* done = std::get_if<cluster::RunDone>(&event)) {
    done_ = *done;
    // Where other devices lead, the last checkpoint has them.
    const auto values = hub_->leader().parameters();
    parameters_ = Checkpoint().parameters;
    if (const auto whole = hub_->leader().archived()) parameters_ = whole->parameters;
    if (!values.empty()) parameters_.assign(values.begin(), values.end());
  }
  if (!options_.keep_events) return;
  events_.push_back(event);
  if (const auto* step = std::get_if<cluster::StepDone>(&event)) steps_[step->step] = *step;
}

// ---- faults by chance

bool Cluster::Quiet() const { return loop_.now() > TimePoint{} + options_.faults.until; }

void Cluster::Arm(const std::optional<Duration>& mean, void (Cluster::*fault)()) {
  if (!mean) return;
  loop_.After(RandomWait(loop_.rng(), *mean), [this, mean, fault] {
    if (done_ || Quiet()) return;
    (this->*fault)();
    Arm(mean, fault);
  });
}

// One whose process runs; -1: none.
int Cluster::AnyDevice() {
  if (boxes_.empty()) return -1;
  const size_t first = loop_.rng().NextBelow(boxes_.size());
  for (size_t i = 0; i < boxes_.size(); ++i) {
    const size_t at = (first + i) % boxes_.size();
    if (boxes_[at]->process != nullptr) return static_cast<int>(at);
  }
  return -1;
}

void Cluster::BreakSome() {
  const int number = AnyDevice();
  if (number < 0) return;
  std::vector<cluster::ConnectionId> mine = device(number).lines();
  if (const auto connection = device(number).connection()) mine.push_back(*connection);
  if (mine.empty()) return;
  loop_.Trace(
      fmt::format("fault: the connection of {} breaks", boxes_[Index(number)]->options.name));
  const size_t which = mine.size() == 1 ? 0 : loop_.rng().NextBelow(mine.size());
  network_.Break(mine[which], "connection reset");
}

void Cluster::KillSome() {
  const int number = AnyDevice();
  if (number < 0) return;
  loop_.Trace(fmt::format("fault: {} is killed", boxes_[Index(number)]->options.name));
  boxes_[Index(number)]->process.reset();
  StartDeviceSoon(number, options_.faults.most_down);
}

// It comes back some time later.
void Cluster::LetOneLeave() {
  const int number = AnyDevice();
  if (number < 0) return;
  loop_.Trace(fmt::format("fault: {} leaves", boxes_[Index(number)]->options.name));
  device(number).Leave("asked to");
  StartDeviceSoon(number, 10 * options_.faults.most_down);
}

void Cluster::Join() {
  if (options_.devices.empty()) return;
  DeviceOptions like = options_.devices[loop_.rng().NextBelow(options_.devices.size())];
  like.name = NumberedName(static_cast<int>(boxes_.size()));
  loop_.Trace(fmt::format("fault: {} joins", like.name));
  AddDevice(like);
}

void Cluster::RestartHub() {
  if (hub_ == nullptr) return;
  loop_.Trace("fault: the hub is killed");
  KillHub();
  StartHubSoon();
}

void Cluster::CutSome() {
  const int number = AnyDevice();
  if (number < 0) return;
  const Box& box = *boxes_[Index(number)];
  const bool one_way = loop_.rng().NextUniform() < options_.faults.one_way;
  const bool up = !one_way || loop_.rng().NextBelow(2) == 0;
  const bool down = !one_way || !up;
  loop_.Trace(fmt::format("fault: {} is cut off{}", box.options.name,
                          one_way ? (up ? " upwards" : " downwards") : ""));
  network_.Cut(box.host, up, down);
  loop_.After(RandomWait(loop_.rng(), options_.faults.partition_length),
              [this, host = box.host] { network_.Heal(host); });
}

void Cluster::ClogSome() {
  const int number = AnyDevice();
  if (number < 0) return;
  const Box& box = *boxes_[Index(number)];
  loop_.Trace(fmt::format("fault: the link of {} clogs", box.options.name));
  network_.Clog(box.host, 0.001);
  loop_.After(RandomWait(loop_.rng(), options_.faults.clog_length),
              [this, host = box.host] { network_.Clog(host, 1); });
}

// ---- events at their times

int Cluster::Named(const std::string& name) const {
  for (size_t i = 0; i < boxes_.size(); ++i) {
    if (boxes_[i]->options.name == name) return static_cast<int>(i);
  }
  return -1;
}

void Cluster::Carry(const ScheduledEvent& event) {
  if (done_) return;
  loop_.Trace(fmt::format("event {} of {}", static_cast<int>(event.kind), event.device));
  if (!event.device.empty()) {
    const int number = Named(event.device);
    CHECK(number >= 0) << "an event of an unknown device, which config refuses: " << event.device;
    return CarryDevice(event, number);
  }
  if (event.kind == ScheduledEvent::Kind::kKill) KillHub();
  if (event.kind == ScheduledEvent::Kind::kStart) StartHub();
}

void Cluster::CarryDevice(const ScheduledEvent& event, int number) {
  using Kind = ScheduledEvent::Kind;
  Box& box = *boxes_[Index(number)];
  switch (event.kind) {
    case Kind::kKill:
      box.process.reset();
      break;
    case Kind::kStart:
      box.on = true;
      if (box.process == nullptr || box.process->stopped()) StartDevice(number);
      break;
    case Kind::kLeave:
      if (box.process != nullptr) box.process->Leave("asked to");
      break;
    case Kind::kCut:
      return network_.Cut(box.host, true, true);
    case Kind::kCutUp:
      return network_.Cut(box.host, true, false);
    case Kind::kCutDown:
      return network_.Cut(box.host, false, true);
    case Kind::kHeal:
      return network_.Heal(box.host);
    case Kind::kClog:
      return network_.Clog(box.host, 0.001);
    case Kind::kUnclog:
      return network_.Clog(box.host, 1);
  }
}

// ---- the result

namespace {

// Shares are of the time for which the link's owner was up.
LinkUse UseOf(const LinkCounters& counters, double up_s) {
  const auto share = [&](Duration busy) { return up_s > 0 ? base::Seconds(busy) / up_s : 0; };
  return {.up_bytes = counters.up_bytes,
          .down_bytes = counters.down_bytes,
          .up_share = share(counters.up_busy),
          .down_share = share(counters.down_busy)};
}

}  // namespace

Result Cluster::result() const {
  Result result;
  result.seed = options_.seed;
  result.completed = done_ && done_->how == cluster::RunDone::How::kCompleted;
  result.outcome = done_ ? done_->reason : "not over";
  meter_.Report(loop_.now(), &result);
  if (done_) {
    result.lost = done_->lost_samples;
    result.duplicated = done_->duplicated_samples;
  } else if (hub_ != nullptr) {
    result.lost = hub_->coordinator().ledger().lost_samples();
    result.duplicated = hub_->coordinator().ledger().duplicated_samples();
  }
  for (size_t i = 0; i < boxes_.size(); ++i) {
    DeviceResult& device = result.devices[i];
    device.link = UseOf(network_.Counters(boxes_[i]->host), device.up_s);
  }
  result.hub = UseOf(network_.Counters(kHub), result.virtual_s);
  for (size_t i = 0; i < options_.segments.size(); ++i) {
    const LinkCounters counters = network_.SegmentCounters(static_cast<int>(i));
    result.segments.emplace_back(options_.segments[i].name, UseOf(counters, result.virtual_s));
  }
  result.messages = network_.messages();
  result.events = loop_.events();
  result.trace_hash = loop_.trace_hash();
  return result;
}

}  // namespace weft::sim
