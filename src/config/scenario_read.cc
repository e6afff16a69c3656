// Reading: ScenarioFromDoc and LoadScenario.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/text.h"
#include "config/scenario_reader.h"
#include "config/scenario_trace.h"

namespace weft::config {
namespace {

using base::Doc;
using Kind = sim::ScheduledEvent::Kind;

constexpr int64_t kMostDevices = 100'000;

constexpr std::array<std::string_view, 7> kJobTables = {"job",     "model", "data", "optimizer",
                                                        "cluster", "link",  "cut"};

bool IsJobTable(std::string_view name) {
  return std::find(kJobTables.begin(), kJobTables.end(), name) != kJobTables.end();
}

bool GoodName(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
             std::string_view::npos;
}

constexpr std::pair<std::string_view, Kind> kKinds[] = {
    {"kill", Kind::kKill}, {"start", Kind::kStart},  {"leave", Kind::kLeave},
    {"cut", Kind::kCut},   {"cut-up", Kind::kCutUp}, {"cut-down", Kind::kCutDown},
    {"heal", Kind::kHeal}, {"clog", Kind::kClog},    {"unclog", Kind::kUnclog},
};

void CheckLink(const sim::LinkOptions& link, TableReader* table) {
  if (!link.half_duplex) return;
  table->WantAbsent("down", "with half_duplex both ways share `up`");
  table->WantPresent("up", "the rate that both ways share");
}

// One reading of a document.
class Reader {
 public:
  Reader(const Doc& doc, const Origin& origin, std::span<const std::string> overrides,
         base::FileSystem* disk)
      : doc_(doc),
        origin_(origin),
        overrides_(overrides),
        disk_(disk),
        root_(&doc, "", origin.file) {}

  Result<Scenario> Read() {
    scenario_.name = std::filesystem::path(origin_.file).stem().string();
    RETURN_IF_ERROR(CheckNames());
    RETURN_IF_ERROR(ReadHead());
    RETURN_IF_ERROR(ReadJob());
    RETURN_IF_ERROR(ReadSegments());
    RETURN_IF_ERROR(ReadCoordinator());
    RETURN_IF_ERROR(ReadDevices());
    RETURN_IF_ERROR(ReadFaults());
    RETURN_IF_ERROR(ReadSchedule());
    RETURN_IF_ERROR(ReadExpectations());
    return std::move(scenario_);
  }

 private:
  TableReader Table(std::string_view name) {
    return TableReader(doc_.Find(name), std::string(name), origin_);
  }

  // Of the document's tables.
  Status CheckNames() {
    for (const std::string_view name :
         {"scenario", "coordinator", "device", "segment", "faults", "event", "expect"}) {
      root_.Take(name);
    }
    for (const std::string_view name : kJobTables) root_.Take(name);
    return root_.Finish();
  }

  Status ReadHead() {
    TableReader table = Table("scenario");
    VisitScenario(&scenario_, &table);
    if (scenario_.mode == "math") table.WantAbsent("samples", "mode \"math\" opens the data");
    if (scenario_.limit <= Duration{}) table.Fail("limit", "want it above 0");
    for (const std::string_view name : kJobTables) {
      if (doc_.Find(name) != nullptr) {
        table.WantAbsent("job", fmt::format("[{}] stands in this file", name));
      }
    }
    return table.Finish();
  }

  Status ReadJob() {
    Doc job;
    Origin origin = origin_;
    if (scenario_.job_file.empty()) {
      job.kind = Doc::Kind::kTable;
      for (const auto& [name, table] : doc_.table) {
        if (IsJobTable(name)) job.table.emplace_back(name, table);
      }
    } else {
      ASSIGN_OR_RETURN(const std::string text, ReadText(scenario_.job_file));
      origin = {scenario_.job_file, base::DirName(scenario_.job_file)};
      ASSIGN_OR_RETURN(job, origin.file.ends_with(".json") ? base::ParseJson(text, origin.file)
                                                           : base::ParseToml(text, origin.file));
    }
    for (const std::string& assignment : overrides_) {
      RETURN_IF_ERROR(base::ApplyOverride(assignment, &job));
    }
    const Doc* data = job.Find("data");
    if (scenario_.samples > 0 && (data == nullptr || data->Find("train") == nullptr)) {
      constexpr int64_t kMostDrawn = 1'000'000;
      Doc* train = job.FindOrAdd("data.train");
      train->kind = Doc::Kind::kString;
      train->text = fmt::format("synthetic:shapes?n={}", std::min(scenario_.samples, kMostDrawn));
    }
    ASSIGN_OR_RETURN(scenario_.job, FromDoc(job, origin));
    return OkStatus();
  }

  // The tables [name.X], in file order.
  Result<std::vector<std::pair<std::string, const Doc*>>> Named(std::string_view name) {
    std::vector<std::pair<std::string, const Doc*>> tables;
    const Doc* all = doc_.Find(name);
    if (all == nullptr) return tables;
    if (all->kind != Doc::Kind::kTable) {
      root_.Fail(name,
                 fmt::format("got {}, want tables [{}.NAME]", base::KindName(all->kind), name));
      return root_.Finish();
    }
    for (const auto& [key, table] : all->table) {
      if (!GoodName(key)) {
        root_.Fail(name, fmt::format("got the name \"{}\", want letters, digits, '-' and '_', at "
                                     "most 64",
                                     key));
        return root_.Finish();
      }
      tables.emplace_back(key, &table);
    }
    return tables;
  }

  Status ReadSegments() {
    ASSIGN_OR_RETURN(const auto tables, Named("segment"));
    for (const auto& [name, doc] : tables) {
      TableReader table(doc, "segment." + name, origin_);
      sim::SegmentOptions segment;
      segment.name = name;
      VisitSegment(&segment, &table);
      CheckLink(segment.link, &table);
      RETURN_IF_ERROR(table.Finish());
      scenario_.segments.push_back(std::move(segment));
      segment_names_.push_back(name);
    }
    return OkStatus();
  }

  void CheckSegment(const std::string& segment, TableReader* table) {
    if (!segment.empty()) CheckKnown("segment", segment, segment_names_, "[segment.NAME]", table);
  }

  static void CheckKnown(std::string_view key, const std::string& got,
                         const std::vector<std::string>& known, std::string_view what,
                         TableReader* table) {
    if (std::find(known.begin(), known.end(), got) != known.end()) return;
    const auto nearest = base::DidYouMean(got, known);
    table->Fail(key, fmt::format("got \"{}\", want the name of a {}{}", got, what,
                                 nearest ? fmt::format(" (did you mean \"{}\"?)", *nearest) : ""));
  }

  Status ReadCoordinator() {
    TableReader table = Table("coordinator");
    VisitCoordinator(&scenario_.coordinator, &table);
    CheckLink(scenario_.coordinator.link, &table);
    CheckSegment(scenario_.coordinator.link.segment, &table);
    return table.Finish();
  }

  Status ReadDevices() {
    ASSIGN_OR_RETURN(const auto tables, Named("device"));
    for (const auto& [name, doc] : tables) RETURN_IF_ERROR(ReadGroup(name, doc));
    if (device_names_.empty()) {
      return base::InvalidArgument(
          fmt::format("{}: device: is missing, want at least one [device.NAME]", origin_.file));
    }
    const std::set<std::string> distinct(device_names_.begin(), device_names_.end());
    if (distinct.size() == device_names_.size()) return OkStatus();
    std::vector<std::string> sorted = device_names_;
    std::sort(sorted.begin(), sorted.end());
    root_.Fail("device", fmt::format("two devices are called \"{}\", want distinct names",
                                     *std::adjacent_find(sorted.begin(), sorted.end())));
    return root_.Finish();
  }

  Status ReadGroup(const std::string& name, const Doc* doc) {
    TableReader table(doc, "device." + name, origin_);
    DeviceGroup group;
    group.name = name;
    VisitDevice(&group, &table);
    group.device.memory_bytes = group.memory.value;
    group.device.storage_bytes = group.storage.value;
    if (!group.profile.empty()) {
      table.WantAbsent("seconds_per_sample", "`profile` says how long a sample takes");
    }
    CheckLink(group.device.link, &table);
    CheckSegment(group.device.link.segment, &table);
    if (scenario_.device_count() + group.size() > kMostDevices) {
      table.Fail("count", fmt::format("want at most {} devices in all", kMostDevices));
    }
    RETURN_IF_ERROR(ReadAvailability(&group, &table));
    RETURN_IF_ERROR(table.Finish());
    for (int64_t i = 0; i < group.size(); ++i) device_names_.push_back(group.NameOf(i));
    scenario_.groups.push_back(std::move(group));
    return OkStatus();
  }

  Status ReadAvailability(DeviceGroup* group, TableReader* table) {
    using Availability = sim::AvailabilityOptions::Kind;
    sim::AvailabilityOptions& options = group->device.availability;
    const std::string& text = group->availability;
    const bool trace = text.starts_with(kTracePrefix);
    if (text != "always" && text != "exponential" && text != "diurnal" && !trace) {
      table->Fail("availability",
                  fmt::format("got \"{}\", want always, exponential, diurnal or trace:FILE", text));
      return OkStatus();
    }
    const std::string unread = fmt::format("availability = \"{}\" does not read it", text);
    options.kind = trace                   ? Availability::kTrace
                   : text == "exponential" ? Availability::kExponential
                   : text == "diurnal"     ? Availability::kDiurnal
                                           : Availability::kAlways;
    const bool exponential = options.kind == Availability::kExponential;
    const bool diurnal = options.kind == Availability::kDiurnal;
    CheckMean("mean_up", options.mean_up, exponential || diurnal, unread, table);
    CheckMean("mean_down", options.mean_down, exponential, unread, table);
    for (const char* key : {"least_share", "most_share", "peak"}) {
      if (!diurnal) table->WantAbsent(key, unread);
    }
    if (options.least_share > options.most_share) {
      table->Fail("least_share", fmt::format("got {}, want at most most_share = {}",
                                             options.least_share, options.most_share));
    }
    if (options.peak >= std::chrono::hours(24)) table->Fail("peak", "want less than 24h");
    if (trace) return ReadTrace(group, table);
    return OkStatus();
  }

  static void CheckMean(std::string_view key, Duration mean, bool wanted, const std::string& unread,
                        TableReader* table) {
    if (!wanted) return table->WantAbsent(key, unread);
    table->WantPresent(key, "a length of time such as \"90s\"");
    // Shorter ones would make more events than anybody waits for.
    if (mean < std::chrono::milliseconds(1)) table->Fail(key, "want at least 1ms");
  }

  Status ReadTrace(DeviceGroup* group, TableReader* table) {
    const std::string path = table->Resolve(group->availability.substr(kTracePrefix.size()));
    auto found = traces_.find(path);
    if (found == traces_.end()) {
      ASSIGN_OR_RETURN(const std::string text, ReadText(path));
      ASSIGN_OR_RETURN(auto trace, ParseTrace(text, path));
      found = traces_.emplace(path, std::move(trace)).first;
    }
    for (int64_t i = 0; i < group->size(); ++i) {
      const auto stretches = found->second.find(group->NameOf(i));
      if (stretches == found->second.end()) {
        table->Fail("availability",
                    fmt::format("{} has no line of the device \"{}\"", path, group->NameOf(i)));
        return OkStatus();
      }
      group->traces.push_back(stretches->second);
    }
    return OkStatus();
  }

  Status ReadFaults() {
    TableReader table = Table("faults");
    VisitFaults(&scenario_.faults, &table);
    return table.Finish();
  }

  Status ReadSchedule() {
    const Doc* events = doc_.Find("event");
    if (events == nullptr) return OkStatus();
    if (events->kind != Doc::Kind::kArray) {
      root_.Fail("event",
                 fmt::format("got {}, want tables [[event]]", base::KindName(events->kind)));
      return root_.Finish();
    }
    for (const Doc& doc : events->array) {
      TableReader table(&doc, "event", origin_);
      sim::ScheduledEvent event;
      std::string kind = "kill";
      VisitEvent(&event, &kind, &table);
      if (!event.device.empty()) {
        CheckKnown("device", event.device, device_names_, "device", &table);
      } else if (kind == "leave") {
        table.WantPresent("device", "the name of a device: the coordinator does not leave");
      }
      for (const auto& [name, value] : kKinds) {
        if (name == kind) event.kind = value;
      }
      RETURN_IF_ERROR(table.Finish());
      scenario_.schedule.push_back(std::move(event));
    }
    std::stable_sort(scenario_.schedule.begin(), scenario_.schedule.end(),
                     [](const auto& a, const auto& b) { return a.at < b.at; });
    return OkStatus();
  }

  Status ReadExpectations() {
    TableReader table = Table("expect");
    VisitExpectations(&scenario_.expect, &table);
    if (scenario_.mode == "cost") {
      table.WantAbsent("min_accuracy", "mode \"cost\" trains nothing");
      table.WantAbsent("max_loss", "mode \"cost\" trains nothing");
    } else if (scenario_.job.data.test.empty()) {
      table.WantAbsent("min_accuracy", "the job names no test data");
      table.WantAbsent("max_loss", "the job names no test data");
    }
    return table.Finish();
  }

  Result<std::string> ReadText(const std::string& path) {
    ASSIGN_OR_RETURN(const Bytes bytes, disk_->ReadFile(path));
    return std::string(base::AsText(bytes));
  }

  const Doc& doc_;
  const Origin& origin_;
  const std::span<const std::string> overrides_;
  base::FileSystem* const disk_;
  base::Fields root_;
  Scenario scenario_;
  std::vector<std::string> segment_names_;
  std::vector<std::string> device_names_;
  std::map<std::string, std::map<std::string, Stretches, std::less<>>> traces_;  // by path
};

}  // namespace

std::string DeviceGroup::NameOf(int64_t i) const {
  return count == 0 ? name : fmt::format("{}-{}", name, i);
}

int64_t Scenario::device_count() const {
  int64_t count = 0;
  for (const DeviceGroup& group : groups) count += group.size();
  return count;
}

Result<Scenario> ScenarioFromDoc(const Doc& doc, const Origin& origin,
                                 std::span<const std::string> overrides, base::FileSystem* disk) {
  return Reader(doc, origin, overrides, disk).Read();
}

Result<Scenario> LoadScenario(const std::string& path, std::span<const std::string> overrides) {
  ASSIGN_OR_RETURN(Doc doc, base::LoadDoc(path));
  std::vector<std::string> of_job;
  for (const std::string& assignment : overrides) {
    if (IsJobTable(assignment.substr(0, assignment.find('.')))) {
      of_job.push_back(assignment);
    } else {
      RETURN_IF_ERROR(base::ApplyOverride(assignment, &doc));
    }
  }
  // Without symbolic links, as config::Load has it.
  std::error_code error;
  const auto folder = std::filesystem::canonical(base::DirName(path), error);
  if (error) return base::NotFound(base::DirName(path) + ": " + error.message());
  return ScenarioFromDoc(doc, {.file = path, .folder = folder.string()}, of_job,
                         &base::LocalFileSystem());
}

}  // namespace weft::config
