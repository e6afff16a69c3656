#include "data/wav_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/file_system.h"
#include "base/hash.h"
#include "data/mfcc.h"
#include "data/wav.h"
#include "data/wav_list.h"

namespace weft::data {
namespace {

constexpr char kNoise[] = "_background_noise_";

class SoundDataset : public Dataset {
 public:
  struct Content {
    MfccOptions options;
    std::vector<std::string> classes;
    std::vector<float> features;  // (N, frames, values)
    std::vector<int32_t> labels;  // (N)
    std::string description;
  };
  explicit SoundDataset(Content content)
      : content_(std::move(content)),
        shape_{1, content_.options.frames(), content_.options.values()} {
    CHECK_EQ(content_.features.size(),
             content_.labels.size() * static_cast<size_t>(shape_.elements()));
  }

  int64_t size() const override { return std::ssize(content_.labels); }
  Shape sample_shape() const override { return shape_; }
  int64_t classes() const override { return std::ssize(content_.classes); }
  std::vector<std::string> class_names() const override { return content_.classes; }
  int feature_axis() const override { return 2; }
  std::string description() const override {
    return fmt::format("{}: {} clips as features of {}, {} classes", content_.description, size(),
                       shape_.ToString(), classes());
  }

  int32_t Read(int64_t index, const ReadContext&, std::span<float> sample) const override {
    DCHECK(index >= 0 && index < size());
    DCHECK(static_cast<int64_t>(sample.size()) == shape_.elements());
    const float* features = content_.features.data() + index * shape_.elements();
    std::copy(features, features + shape_.elements(), sample.data());
    return Label(index);
  }
  int32_t Label(int64_t index) const override {
    return content_.labels[static_cast<size_t>(index)];
  }

 private:
  const Content content_;
  const Shape shape_;
};

struct WavParams {
  std::string list;
  MfccOptions features;
};

Result<WavParams> ReadParams(const Source& source) {
  WavParams params;
  MfccOptions& options = params.features;
  std::string kind = "mfcc";
  base::Fields fields(&source.params, "", source.text);
  fields.Get("list", &params.list);
  fields.GetChoice("features", &kind, {"mfcc", "logmel"});
  fields.Get("rate", &options.rate, {.min = 1000, .max = 192000});
  fields.Get("clip_ms", &options.clip_ms, {.min = 10, .max = 60000});
  fields.Get("window_ms", &options.window_ms, {.min = 1, .max = 1000});
  fields.Get("stride_ms", &options.stride_ms, {.min = 1, .max = 60000});
  fields.Get("mels", &options.mels, {.min = 2, .max = 512});
  fields.Get("low_hz", &options.low_hz, {.min = 0, .max = 96000});
  fields.Get("high_hz", &options.high_hz, {.min = 1, .max = 96000});
  fields.Get("coefficients", &options.coefficients, {.min = 1, .max = 512});
  if (kind == "logmel") {
    if (source.params.Find("coefficients") != nullptr) {
      fields.Fail("coefficients", "is read by features=mfcc only");
    }
    options.coefficients = 0;
  }
  RETURN_IF_ERROR(fields.Finish());
  RETURN_IF_ERROR(CheckMfccOptions(options).Annotate(source.text));
  return params;
}

bool IsFolder(const std::string& path) {
  return base::LocalFileSystem().Exists(base::JoinPath(path, "."));
}

Result<std::vector<std::string>> ListClasses(const std::string& place) {
  if (!IsFolder(place)) return base::NotFound(place + ": no such folder");
  ASSIGN_OR_RETURN(std::vector<std::string> names, base::LocalFileSystem().List(place));
  std::erase_if(names, [&](const std::string& name) {
    return name == kNoise || name.starts_with('.') || !IsFolder(base::JoinPath(place, name));
  });
  if (names.size() >= 2) return names;
  return base::NotFound(
      fmt::format("{}: got {} folders of clips, want one for each of two or more classes", place,
                  names.size()));
}

// What a list names, but for the noise. Every line must name a class of the data set.
Result<std::vector<WavName>> ReadList(const std::string& place, const std::string& list,
                                      const std::vector<std::string>& classes) {
  const std::string path = base::JoinPath(place, list);
  ASSIGN_OR_RETURN(const Bytes text, base::LocalFileSystem().ReadFile(path));
  ASSIGN_OR_RETURN(std::vector<WavName> names, ParseWavList(base::AsText(text), path));
  std::erase_if(names, [](const WavName& name) { return name.folder == kNoise; });
  for (const WavName& name : names) {
    if (std::binary_search(classes.begin(), classes.end(), name.folder)) continue;
    return base::DataLoss(fmt::format("{}: {}/{}: got class \"{}\", want a folder of {}", path,
                                      name.folder, name.file, name.folder, place));
  }
  return names;
}

Result<std::vector<WavName>> ListClips(const std::string& place,
                                       const std::vector<std::string>& classes) {
  std::vector<WavName> names;
  for (const std::string& folder : classes) {
    ASSIGN_OR_RETURN(const std::vector<std::string> files,
                     base::LocalFileSystem().List(base::JoinPath(place, folder)));
    for (const std::string& file : files) {
      if (file.ends_with(".wav")) names.push_back({folder, file});
    }
  }
  return names;
}

// Every clip that is on neither of Speech Commands' lists.
Result<std::vector<WavName>> Unlisted(const std::string& place,
                                      const std::vector<std::string>& classes) {
  std::set<WavName> listed;
  for (const char* list : {"testing_list.txt", "validation_list.txt"}) {
    if (!base::LocalFileSystem().Exists(base::JoinPath(place, list))) continue;
    ASSIGN_OR_RETURN(const std::vector<WavName> names, ReadList(place, list, classes));
    listed.insert(names.begin(), names.end());
  }
  ASSIGN_OR_RETURN(std::vector<WavName> names, ListClips(place, classes));
  std::erase_if(names, [&](const WavName& name) { return listed.contains(name); });
  return names;
}

Result<std::vector<WavName>> Split(const std::string& place, bool train,
                                   const std::vector<std::string>& classes) {
  base::FileSystem& disk = base::LocalFileSystem();
  if (disk.Exists(base::JoinPath(place, "testing_list.txt"))) {
    return train ? Unlisted(place, classes) : ReadList(place, "testing_list.txt", classes);
  }
  if (disk.Exists(base::JoinPath(place, "train.txt")) &&
      disk.Exists(base::JoinPath(place, "test.txt"))) {
    return ReadList(place, train ? "train.txt" : "test.txt", classes);
  }
  ASSIGN_OR_RETURN(std::vector<WavName> names, ListClips(place, classes));
  const WavPart part = train ? WavPart::kTrain : WavPart::kTest;
  std::erase_if(names, [&](const WavName& name) { return PartOfSpeaker(name.file) != part; });
  return names;
}

// Mixes the classes, in the same way everywhere.
void Mix(std::vector<WavName>* names) {
  std::vector<std::pair<uint64_t, WavName>> keyed;
  for (WavName& name : *names) {
    const uint64_t folder = base::Fnv1a(base::AsBytes(name.folder));
    keyed.emplace_back(base::Fnv1a(base::AsBytes(name.file), folder), std::move(name));
  }
  std::sort(keyed.begin(), keyed.end());
  for (size_t i = 0; i < keyed.size(); ++i) (*names)[i] = std::move(keyed[i].second);
}

Status AppendClip(const std::string& path, Mfcc* mfcc, std::vector<float>* features) {
  const MfccOptions& options = mfcc->options();
  ASSIGN_OR_RETURN(const Bytes file, base::LocalFileSystem().ReadFile(path));
  ASSIGN_OR_RETURN(
      std::vector<float> clip,
      DecodeWav(file, {.rate = options.rate, .max_samples = options.clip_samples()}, path));
  clip.resize(static_cast<size_t>(options.clip_samples()));
  const size_t had = features->size();
  features->resize(had + static_cast<size_t>(options.frames() * options.values()));
  mfcc->Compute(clip, std::span(*features).subspan(had));
  return OkStatus();
}

}  // namespace

Result<std::unique_ptr<Dataset>> OpenWav(const Source& source, bool train) {
  ASSIGN_OR_RETURN(const WavParams params, ReadParams(source));
  SoundDataset::Content content;
  content.options = params.features;
  ASSIGN_OR_RETURN(content.classes, ListClasses(source.place));
  ASSIGN_OR_RETURN(std::vector<WavName> names,
                   params.list.empty() ? Split(source.place, train, content.classes)
                                       : ReadList(source.place, params.list, content.classes));
  const std::string part = !params.list.empty() ? params.list : train ? "train" : "test";
  if (names.empty()) {
    return base::NotFound(
        fmt::format("{}: got no clips ({}), want at least one .wav file", source.place, part));
  }
  Mix(&names);
  ASSIGN_OR_RETURN(Mfcc mfcc, Mfcc::Make(params.features));
  content.features.reserve(
      names.size() * static_cast<size_t>(params.features.frames() * params.features.values()));
  for (const WavName& name : names) {
    const std::string path = base::JoinPath(base::JoinPath(source.place, name.folder), name.file);
    RETURN_IF_ERROR(AppendClip(path, &mfcc, &content.features));
    const auto at = std::lower_bound(content.classes.begin(), content.classes.end(), name.folder);
    content.labels.push_back(static_cast<int32_t>(at - content.classes.begin()));
  }
  content.description = fmt::format("wav:{} ({})", source.place, part);
  return std::unique_ptr<Dataset>(std::make_unique<SoundDataset>(std::move(content)));
}

}  // namespace weft::data
