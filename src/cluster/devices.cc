#include "cluster/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace weft::cluster {
namespace {

// "device/<id>" -> "<incarnation>".
constexpr std::string_view kPrefix = "device/";
// "shard/<name>" -> "<shard>".
constexpr std::string_view kShardPrefix = "shard/";

template <class T>
bool ParseWhole(std::string_view text, T* value) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, *value);
  return error == std::errc() && at == end;
}

}  // namespace

Status DeviceTable::Load() {
  ASSIGN_OR_RETURN(const auto records, store_->List(std::string(kPrefix)));
  for (const auto& [key, value] : records) {
    DeviceId id = 0;
    uint64_t incarnation = 0;
    if (!ParseWhole(std::string_view(key).substr(kPrefix.size()), &id) || id == 0 ||
        !ParseWhole(value, &incarnation)) {
      return base::DataLoss(fmt::format("store record {}: got \"{}\"", key, value));
    }
    incarnations_[id] = incarnation;
    next_id_ = std::max(next_id_, id + 1);
  }
  ASSIGN_OR_RETURN(const auto shards, store_->List(std::string(kShardPrefix)));
  for (const auto& [key, value] : shards) {
    int64_t shard = 0;
    if (!ParseWhole(value, &shard) || shard < 0) {
      return base::DataLoss(fmt::format("store record {}: got \"{}\"", key, value));
    }
    shard_of_[key.substr(kShardPrefix.size())] = shard;
  }
  return OkStatus();
}

Result<DeviceTable::Admission> DeviceTable::Admit(TimePoint now, ConnectionId connection,
                                                  const Hello& hello) {
  Admission admission;
  const auto known = incarnations_.find(hello.device);
  admission.again = known != incarnations_.end() && known->second == hello.incarnation;
  admission.device = admission.again ? hello.device : next_id_;
  if (!admission.again) {
    RETURN_IF_ERROR(store_->Put(
        {{fmt::format("{}{}", kPrefix, admission.device), std::to_string(hello.incarnation)}}));
    incarnations_[admission.device] = hello.incarnation;
    ++next_id_;
  }
  if (const Device* device = Find(admission.device)) admission.replaced = device->connection;
  Remove(admission.device);
  heard_.insert({now, admission.device});
  living_[admission.device] = {.id = admission.device,
                               .name = TakeName(admission.device, hello.name),
                               .incarnation = hello.incarnation,
                               .connection = connection,
                               .last_seen = now,
                               .endpoint = hello.endpoint,
                               .site = hello.site};
  if (!hello.site.empty()) ++with_site_;
  Device& device = living_[admission.device];
  const Result<int64_t> shard = ShardFor(device.name);
  if (!shard.ok()) {
    Remove(device.id);  // it was not here before: who was has its shard
    return shard.status();
  }
  device.shard = *shard;
  return admission;
}

// A name that was here before has its shard again; others get the first that is nobody's. -1: none
// is left.
Result<int64_t> DeviceTable::ShardFor(const std::string& name) {
  if (shards_ == 0) return -1;
  if (const auto known = shard_of_.find(name); known != shard_of_.end()) {
    return known->second < shards_ ? known->second : -1;
  }
  std::set<int64_t> taken;
  for (const auto& [other, shard] : shard_of_) taken.insert(shard);
  for (int64_t shard = 0; shard < shards_; ++shard) {
    if (taken.contains(shard)) continue;
    RETURN_IF_ERROR(
        store_->Put({{fmt::format("{}{}", kShardPrefix, name), std::to_string(shard)}}));
    return shard_of_[name] = shard;
  }
  return -1;
}

void DeviceTable::Note(DeviceId id, const DeviceStats& stats) {
  const auto it = living_.find(id);
  if (it == living_.end()) return;
  it->second.stats = stats;
  if (stats.sample_seconds > 0) it->second.overdue.reset();
}

void DeviceTable::NoteOverdue(DeviceId id, const Overdue& overdue) {
  const auto it = living_.find(id);
  if (it == living_.end() || it->second.overdue || it->second.stats.sample_seconds > 0) return;
  it->second.overdue = overdue;
}

std::string DeviceTable::TakeName(DeviceId id, const std::string& wanted) {
  Name name{.stem = wanted.empty() ? "device" : wanted};
  Stem& stem = stems_[name.stem];
  const auto text = [&] {
    return name.number == 1 ? name.stem : fmt::format("{}-{}", name.stem, name.number);
  };
  name.number = stem.first_free;
  while (!taken_.insert(text()).second) ++name.number;  // somebody may be called "pi-2" by himself
  stem.first_free = name.number + 1;
  ++stem.users;
  std::string taken = text();
  names_[id] = std::move(name);
  return taken;
}

void DeviceTable::FreeName(DeviceId id) {
  const auto it = names_.find(id);
  taken_.erase(living_.at(id).name);
  const auto stem = stems_.find(it->second.stem);
  stem->second.first_free = std::min(stem->second.first_free, it->second.number);
  if (--stem->second.users == 0) stems_.erase(stem);
  names_.erase(it);
}

const Device* DeviceTable::Find(DeviceId id) const {
  const auto it = living_.find(id);
  return it == living_.end() ? nullptr : &it->second;
}

bool DeviceTable::Saw(DeviceId id, TimePoint now) {
  const auto it = living_.find(id);
  if (it == living_.end() || now <= it->second.last_seen) return false;
  Device& device = it->second;
  SignsOf(device).erase({device.last_seen, id});
  device.last_seen = now;
  heard_.insert({now, id});
  return std::exchange(device.silent, false);
}

void DeviceTable::Remove(DeviceId id) {
  const auto it = living_.find(id);
  if (it == living_.end()) return;
  FreeName(id);
  SignsOf(it->second).erase({it->second.last_seen, id});
  if (!it->second.site.empty()) --with_site_;
  living_.erase(it);
}

std::vector<DeviceId> DeviceTable::SilentSince(TimePoint then) const {
  std::vector<DeviceId> silent;
  for (const BySign* signs : {&silent_, &heard_}) {
    for (const auto& [seen, id] : *signs) {
      if (seen > then) break;
      silent.push_back(id);
    }
  }
  std::ranges::sort(silent);
  return silent;
}

std::vector<DeviceId> DeviceTable::MarkSilent(TimePoint then) {
  std::vector<DeviceId> marked;
  while (!heard_.empty() && heard_.begin()->first <= then) {
    const auto sign = silent_.insert(heard_.extract(heard_.begin())).position;
    living_.at(sign->second).silent = true;
    marked.push_back(sign->second);
  }
  std::ranges::sort(marked);
  return marked;
}

std::set<DeviceId> DeviceTable::silent() const {
  std::set<DeviceId> devices;
  for (const auto& [seen, id] : silent_) devices.insert(id);
  return devices;
}

// Whoever is marked was seen before all that are not.
std::optional<TimePoint> DeviceTable::OldestSign() const {
  return silent_.empty() ? OldestUnmarked() : silent_.begin()->first;
}

std::optional<TimePoint> DeviceTable::OldestUnmarked() const {
  if (heard_.empty()) return std::nullopt;
  return heard_.begin()->first;
}

}  // namespace weft::cluster
