#include "cluster/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace weft::cluster {
namespace {

// "device/<id>" -> "<incarnation>".
constexpr std::string_view kPrefix = "device/";

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
  living_[admission.device] = {.id = admission.device,
                               .name = UniqueName(hello.name, admission.device),
                               .incarnation = hello.incarnation,
                               .connection = connection,
                               .last_seen = now};
  return admission;
}

std::string DeviceTable::UniqueName(const std::string& wanted, DeviceId id) const {
  const std::string stem = wanted.empty() ? "device" : wanted;
  std::string name = stem;
  const auto taken = [&](const auto& entry) {
    return entry.first != id && entry.second.name == name;
  };
  for (int k = 2; std::ranges::any_of(living_, taken); ++k) name = fmt::format("{}-{}", stem, k);
  return name;
}

const Device* DeviceTable::Find(DeviceId id) const {
  const auto it = living_.find(id);
  return it == living_.end() ? nullptr : &it->second;
}

void DeviceTable::Saw(DeviceId id, TimePoint now) {
  const auto it = living_.find(id);
  if (it != living_.end()) it->second.last_seen = std::max(it->second.last_seen, now);
}

void DeviceTable::Remove(DeviceId id) { living_.erase(id); }

std::vector<DeviceId> DeviceTable::SilentSince(TimePoint then) const {
  std::vector<DeviceId> silent;
  for (const auto& [id, device] : living_) {
    if (device.last_seen <= then) silent.push_back(id);
  }
  return silent;
}

std::optional<TimePoint> DeviceTable::OldestSign() const {
  std::optional<TimePoint> oldest;
  for (const auto& [id, device] : living_) {
    if (!oldest || device.last_seen < *oldest) oldest = device.last_seen;
  }
  return oldest;
}

}  // namespace weft::cluster
