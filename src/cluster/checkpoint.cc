#include "cluster/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "base/log.h"
#include "model/safetensors.h"

namespace weft::cluster {
namespace {

using base::DataLoss;

constexpr char kFormat[] = "weft checkpoint 1";
constexpr char kLatest[] = "latest";
constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kSuffix = ".safetensors";
constexpr std::string_view kMomentPrefix = "optimizer.";
constexpr size_t kMostKept = 2;

std::optional<int64_t> ParseInt(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::string FileName(int64_t step) { return fmt::format("{}{:06}{}", kPrefix, step, kSuffix); }

// The step of a checkpoint's file name; nothing for any other name.
std::optional<int64_t> StepOf(const std::string& name) {
  if (name.size() <= kPrefix.size() + kSuffix.size() || !name.starts_with(kPrefix) ||
      !name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  return ParseInt(
      std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size()));
}

std::string Digest(const std::vector<float>& values) {
  return base::Sha256Hex(
      {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)});
}

// Of every entry but the digest itself, which stands under this key.
constexpr char kMetadataDigest[] = "sha256";
std::string Digest(const std::map<std::string, std::string>& metadata) {
  std::string text;
  for (const auto& [key, value] : metadata) {
    if (key != kMetadataDigest) text += key + '\n' + value + '\n';
  }
  return base::Sha256Hex(base::AsBytes(text));
}

// Reads the metadata of a file; remembers the first thing wrong.
class Metadata {
 public:
  explicit Metadata(const model::TensorFile& file) : file_(file) {}

  std::string Text(const std::string& key) {
    const auto found = file_.metadata.find(key);
    if (found != file_.metadata.end()) return found->second;
    Fail(fmt::format("metadata: got no \"{}\"", key));
    return "";
  }
  int64_t Count(const std::string& key) {
    const std::string text = Text(key);
    const std::optional<int64_t> value = ParseInt(text);
    if (!value) Fail(fmt::format("metadata: {}: got \"{}\", want a count", key, text));
    return value.value_or(0);
  }
  void Fail(const std::string& problem) {
    if (status_.ok()) status_ = DataLoss(problem);
  }
  const Status& status() const { return status_; }

 private:
  const model::TensorFile& file_;
  Status status_;
};

void AddTensor(const std::string& name, const std::vector<float>& values, model::TensorFile* file) {
  file->tensors.push_back({name, Shape({static_cast<int64_t>(values.size())}), values});
  file->metadata["sha256." + name] = Digest(values);
}

}  // namespace

Bytes EncodeCheckpoint(const Checkpoint& checkpoint) {
  const Snapshot& snapshot = checkpoint.snapshot;
  model::TensorFile file;
  file.metadata = {{"format", kFormat},
                   {"run", checkpoint.run},
                   {"config", checkpoint.config_digest},
                   {"epoch", std::to_string(checkpoint.epoch)},
                   {"step", std::to_string(snapshot.step)},
                   {"version", std::to_string(snapshot.version)},
                   {"optimizer_steps", std::to_string(snapshot.optimizer.steps)}};
  AddTensor("parameters", snapshot.parameters, &file);
  for (const auto& moment : snapshot.optimizer.moments) {
    AddTensor(std::string(kMomentPrefix) + moment.name, moment.values, &file);
  }
  file.metadata[kMetadataDigest] = Digest(file.metadata);
  return model::EncodeTensorFile(file);
}

Result<Checkpoint> DecodeCheckpoint(ByteView bytes) {
  ASSIGN_OR_RETURN(model::TensorFile file, model::DecodeTensorFile(bytes));
  Metadata metadata(file);
  if (const std::string format = metadata.Text("format"); format != kFormat) {
    metadata.Fail(fmt::format("metadata: format: got \"{}\", want \"{}\"", format, kFormat));
  }
  Checkpoint checkpoint;
  checkpoint.run = metadata.Text("run");
  checkpoint.config_digest = metadata.Text("config");
  checkpoint.epoch = metadata.Count("epoch");
  Snapshot& snapshot = checkpoint.snapshot;
  snapshot.step = metadata.Count("step");
  snapshot.version = metadata.Count("version");
  snapshot.optimizer.steps = metadata.Count("optimizer_steps");
  bool has_parameters = false;
  for (model::NamedTensor& tensor : file.tensors) {
    if (metadata.Text("sha256." + tensor.name) != Digest(tensor.values)) {
      metadata.Fail(fmt::format("tensor {}: its bytes do not match its digest", tensor.name));
    }
    if (tensor.name == "parameters") {
      has_parameters = true;
      snapshot.parameters = std::move(tensor.values);
    } else if (tensor.name.starts_with(kMomentPrefix)) {
      snapshot.optimizer.moments.push_back(
          {tensor.name.substr(kMomentPrefix.size()), std::move(tensor.values)});
    } else {
      metadata.Fail(fmt::format("tensor {}: unknown", tensor.name));
    }
  }
  if (metadata.Text(kMetadataDigest) != Digest(file.metadata)) {
    metadata.Fail("metadata: does not match its digest");
  }
  if (!has_parameters) metadata.Fail("got no tensor \"parameters\"");
  RETURN_IF_ERROR(metadata.status());
  return checkpoint;
}

CheckpointFolder::CheckpointFolder(base::FileSystem* file_system, std::string path)
    : file_system_(file_system), path_(std::move(path)) {}

Result<std::vector<std::string>> CheckpointFolder::Names() const {
  if (!file_system_->Exists(path_)) return std::vector<std::string>();
  ASSIGN_OR_RETURN(std::vector<std::string> names, file_system_->List(path_));
  std::erase_if(names, [](const std::string& name) { return !StepOf(name); });
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return *StepOf(a) > *StepOf(b); });
  return names;
}

Result<std::string> CheckpointFolder::Write(const Checkpoint& checkpoint) {
  RETURN_IF_ERROR(file_system_->MakeDirs(path_));
  const std::string name = FileName(checkpoint.snapshot.step);
  const std::string path = base::JoinPath(path_, name);
  RETURN_IF_ERROR(file_system_->WriteFileAtomic(path, EncodeCheckpoint(checkpoint)));
  RETURN_IF_ERROR(
      file_system_->WriteFileAtomic(base::JoinPath(path_, kLatest), base::AsBytes(name + "\n")));
  RemoveOld(checkpoint.snapshot.step, kMostKept);
  return path;
}

// A file of a later step than the one just written is left over from a future that was given up:
// the run went on from an older checkpoint because that one was damaged.
void CheckpointFolder::RemoveOld(int64_t step, size_t keep) {
  size_t kept = 0;
  const auto names = Names();
  if (!names.ok()) return;  // nothing lost but space; the next Write tries again
  for (const std::string& name : *names) {
    if (*StepOf(name) <= step && kept < keep) {
      ++kept;
      continue;
    }
    const Status removed = file_system_->Remove(base::JoinPath(path_, name));
    if (!removed.ok()) base::LogDebug("old checkpoint stays: {}", removed.message());
  }
}

void CheckpointFolder::GoOnFrom(int64_t step) {
  RemoveOld(step, std::numeric_limits<size_t>::max());
}

Result<CheckpointFolder::Found> CheckpointFolder::ReadLatest() const {
  ASSIGN_OR_RETURN(std::vector<std::string> names, Names());
  if (names.empty()) return base::NotFound(path_ + ": got no checkpoint, want step-N.safetensors");
  Found found;
  const auto pointer = file_system_->ReadFile(base::JoinPath(path_, kLatest));
  std::string latest(pointer.ok() ? base::AsText(*pointer) : "");
  while (latest.ends_with('\n')) latest.pop_back();
  const std::optional<int64_t> step = StepOf(latest);
  if (!step) {
    found.skipped.push_back(pointer.ok() ? fmt::format("{}: got \"{}\", want step-N.safetensors",
                                                       base::JoinPath(path_, kLatest), latest)
                                         : pointer.status().message());
  } else {
    // From `latest` down, then what is newer.
    std::stable_partition(names.begin(), names.end(),
                          [&](const auto& name) { return *StepOf(name) <= *step; });
  }
  Status unreadable;
  for (const std::string& name : names) {
    found.path = base::JoinPath(path_, name);
    auto bytes = file_system_->ReadFile(found.path);
    auto checkpoint = bytes.ok() ? DecodeCheckpoint(*bytes) : Result<Checkpoint>(bytes.status());
    if (checkpoint.ok()) {
      found.checkpoint = std::move(checkpoint).value();
      return found;
    }
    if (!bytes.ok()) unreadable = bytes.status();
    found.skipped.push_back(bytes.ok() ? found.path + ": " + checkpoint.status().message()
                                       : bytes.status().message());
  }
  if (!unreadable.ok()) return unreadable;
  std::string all;
  for (const std::string& reason : found.skipped) all += "\n  " + reason;
  return DataLoss(path_ + ": no checkpoint is whole:" + all);
}

}  // namespace weft::cluster
