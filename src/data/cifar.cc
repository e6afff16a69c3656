#include "data/cifar.h"

#include <fmt/format.h>

#include <vector>

#include "base/file_system.h"
#include "base/text.h"

namespace weft::data {
namespace {

constexpr size_t kPixels = 3 * 32 * 32;

std::vector<std::string> FileNames(bool hundred, bool train) {
  if (hundred) return {train ? "train.bin" : "test.bin"};
  if (!train) return {"test_batch.bin"};
  return {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
          "data_batch_5.bin"};
}

// The folder itself, or the one that the archive makes in it.
std::string FindFolder(const std::string& place, bool hundred, const std::string& first) {
  base::FileSystem& disk = base::LocalFileSystem();
  const std::string inner =
      base::JoinPath(place, hundred ? "cifar-100-binary" : "cifar-10-batches-bin");
  const bool nested = !disk.Exists(base::JoinPath(place, first)) && disk.Exists(inner);
  return nested ? inner : place;
}

Result<Bytes> ReadCifarFile(const std::string& folder, const std::string& name, bool hundred) {
  base::FileSystem& disk = base::LocalFileSystem();
  if (!disk.Exists(folder)) return base::NotFound(folder + ": no such folder");
  const std::string path = base::JoinPath(folder, name);
  if (disk.Exists(path)) return disk.ReadFile(path);
  return base::NotFound(
      fmt::format("{}: no such file; want {} of the binary version in that folder", path,
                  hundred ? "train.bin and test.bin"
                          : "data_batch_1.bin to data_batch_5.bin and test_batch.bin"));
}

}  // namespace

Status AppendCifar(ByteView file, const CifarFormat& format, const std::string& name,
                   LabelledImages* images) {
  const size_t record = format.label_bytes + kPixels;
  if (file.empty() || file.size() % record != 0) {
    return base::DataLoss(fmt::format("{}: truncated: got {} bytes, want a multiple of {}", name,
                                      file.size(), record));
  }
  const size_t count = file.size() / record;
  Bytes labels(count);
  for (size_t i = 0; i < count; ++i) labels[i] = file[i * record + format.label_bytes - 1];
  RETURN_IF_ERROR(CheckLabels(labels, format.classes, name));
  images->labels.insert(images->labels.end(), labels.begin(), labels.end());
  for (size_t i = 0; i < count; ++i) {
    const ByteView pixels = file.subspan(i * record + format.label_bytes, kPixels);
    images->pixels.insert(images->pixels.end(), pixels.begin(), pixels.end());
  }
  return OkStatus();
}

Result<std::unique_ptr<Dataset>> OpenCifar(const Source& source, bool train) {
  RETURN_IF_ERROR(base::Fields(&source.params, "", source.text).Finish());
  const bool hundred = source.kind == "cifar100";
  const CifarFormat& format = hundred ? kCifar100 : kCifar10;
  const std::vector<std::string> names = FileNames(hundred, train);
  const std::string folder = FindFolder(source.place, hundred, names[0]);
  LabelledImages images{.shape = Shape{3, 32, 32},
                        .classes = format.classes,
                        .pixels = {},
                        .labels = {},
                        .description = fmt::format("{}:{} ({})", source.kind, source.place,
                                                   train ? "train" : "test")};
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const Bytes file, ReadCifarFile(folder, name, hundred));
    RETURN_IF_ERROR(AppendCifar(file, format, base::JoinPath(folder, name), &images));
  }
  return DatasetFromImages(std::move(images));
}

}  // namespace weft::data
