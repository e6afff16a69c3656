#include "data/idx.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file_system.h"
#include "data/gzip.h"
#include "data/labelled_images.h"

namespace weft::data {
namespace {

constexpr int64_t kMaxExtent = 1 << 14;  // of an image's side
constexpr uint32_t kUnsignedBytes = 0x08;

uint32_t BigEndian(ByteView bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 |
         uint32_t{bytes[at + 3]};
}

// The first `limit` bytes of the content, or all of it.
Result<Bytes> Content(ByteView file, size_t limit, const std::string& name) {
  if (IsGzip(file)) return GunzipAtMost(file, limit, name);
  const ByteView head = file.first(std::min(limit, file.size()));
  return Bytes(head.begin(), head.end());
}

Status ReadHeader(ByteView header, int rank, const std::string& name, std::vector<int64_t>* dims) {
  const uint32_t magic = BigEndian(header, 0);
  const uint32_t wanted = kUnsignedBytes << 8 | static_cast<uint32_t>(rank);
  if (magic != wanted) {
    return base::DataLoss(
        fmt::format("{}: magic number: got 0x{:08x}, want 0x{:08x} (IDX, unsigned bytes, rank {})",
                    name, magic, wanted, rank));
  }
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t extent = BigEndian(header, 4 + 4 * static_cast<size_t>(axis));
    const int64_t most = axis == 0 ? UINT32_MAX : kMaxExtent;
    if (extent < 1 || extent > most) {
      return base::DataLoss(
          fmt::format("{}: dimension {}: got {}, want 1..{}", name, axis, extent, most));
    }
    dims->push_back(extent);
  }
  return OkStatus();
}

// Reads DIR/`stem`-idx3-ubyte or one of its other spellings.
struct NamedFile {
  std::string path;
  Bytes bytes;
};
Result<NamedFile> ReadIdxFile(const std::string& folder, const std::string& stem, int rank) {
  base::FileSystem& disk = base::LocalFileSystem();
  const std::string suffix = fmt::format("idx{}-ubyte", rank);
  for (const char* joint : {"-", "."}) {
    for (const char* ending : {"", ".gz"}) {
      NamedFile file{base::JoinPath(folder, stem + joint + suffix + ending), {}};
      if (!disk.Exists(file.path)) continue;
      ASSIGN_OR_RETURN(file.bytes, disk.ReadFile(file.path));
      return file;
    }
  }
  if (!disk.Exists(folder)) return base::NotFound(folder + ": no such folder");
  return base::NotFound(
      fmt::format("{}: no such file, plain or with .gz; want train-images-idx3-ubyte, "
                  "train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte in "
                  "that folder",
                  base::JoinPath(folder, stem + "-" + suffix)));
}

struct Labels {
  std::string path;
  Bytes values;
};
Result<Labels> ReadLabels(const std::string& folder, const std::string& split) {
  ASSIGN_OR_RETURN(NamedFile file, ReadIdxFile(folder, split + "-labels", 1));
  ASSIGN_OR_RETURN(IdxArray array, ParseIdx(file.bytes, 1, file.path));
  return Labels{std::move(file.path), std::move(array.values)};
}

}  // namespace

Result<IdxArray> ParseIdx(ByteView file, int rank, const std::string& name) {
  const size_t header_size = 4 + 4 * static_cast<size_t>(rank);
  ASSIGN_OR_RETURN(const Bytes header, Content(file, header_size, name));
  if (header.size() < header_size) {
    return base::DataLoss(fmt::format("{}: truncated header: got {} bytes, want {}", name,
                                      header.size(), header_size));
  }
  IdxArray array;
  RETURN_IF_ERROR(ReadHeader(header, rank, name, &array.dims));
  size_t values = 1;  // below 2^60
  for (const int64_t extent : array.dims) values *= static_cast<size_t>(extent);
  const size_t size = header_size + values;
  ASSIGN_OR_RETURN(array.values, Content(file, size + 1, name));
  if (array.values.size() != size) {
    const bool cut = array.values.size() < size;
    // One byte more is all that was looked for in a gzip file; a plain one's size is known.
    const std::string got = cut || !IsGzip(file)
                                ? std::to_string(cut ? array.values.size() : file.size())
                                : fmt::format("over {}", size);
    return base::DataLoss(fmt::format(
        "{}: {}: got {} bytes, want {} (a header of {} and {} values)", name,
        cut ? "truncated" : "too long", got, size, header_size, Shape(array.dims).ToString()));
  }
  array.values.erase(array.values.begin(),
                     array.values.begin() + static_cast<std::ptrdiff_t>(header_size));
  return array;
}

Result<std::unique_ptr<Dataset>> OpenIdx(const Source& source, bool train) {
  int64_t classes = 0;
  base::Fields fields(&source.params, "", source.text);
  fields.Get("classes", &classes, {.min = 2, .max = 256});
  RETURN_IF_ERROR(fields.Finish());

  const std::string split = train ? "train" : "t10k";
  ASSIGN_OR_RETURN(Labels labels, ReadLabels(source.place, split));
  if (classes == 0) {
    // Both splits must agree, and the test split may lack a class.
    const auto largest = [](const Bytes& values) {
      return *std::max_element(values.begin(), values.end());
    };
    if (train) {
      classes = 1 + largest(labels.values);
    } else {
      ASSIGN_OR_RETURN(const Labels train_labels, ReadLabels(source.place, "train"));
      classes = 1 + largest(train_labels.values);
    }
    classes = std::max<int64_t>(classes, 2);
  }
  RETURN_IF_ERROR(CheckLabels(labels.values, classes, labels.path));

  ASSIGN_OR_RETURN(NamedFile file, ReadIdxFile(source.place, split + "-images", 3));
  ASSIGN_OR_RETURN(IdxArray images, ParseIdx(file.bytes, 3, file.path));
  if (images.dims[0] != static_cast<int64_t>(labels.values.size())) {
    return base::DataLoss(fmt::format("{}: got {} labels, want {}, as many as images in {}",
                                      labels.path, labels.values.size(), images.dims[0],
                                      file.path));
  }
  return DatasetFromImages({.shape = Shape{1, images.dims[1], images.dims[2]},
                            .classes = classes,
                            .pixels = std::move(images.values),
                            .labels = std::move(labels.values),
                            .description = fmt::format("idx:{} ({})", source.place, split)});
}

}  // namespace weft::data
