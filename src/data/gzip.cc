#include "data/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "base/check.h"

namespace weft::data {
namespace {

class Inflater {
 public:
  Inflater() { CHECK_EQ(::inflateInit2(&stream_, MAX_WBITS + 16), Z_OK); }  // +16: gzip only
  ~Inflater() { ::inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream& stream() { return stream_; }

 private:
  z_stream stream_{};
};

}  // namespace

bool IsGzip(ByteView file) { return file.size() >= 2 && file[0] == 0x1F && file[1] == 0x8B; }

Result<Bytes> GunzipAtMost(ByteView file, size_t limit, const std::string& name) {
  constexpr size_t kStep = size_t{1} << 20;  // zlib counts in 32 bits, so it is fed in pieces
  Inflater inflater;
  z_stream& stream = inflater.stream();
  Bytes out;
  size_t used = 0;  // of `file`
  while (out.size() < limit) {
    const size_t had = out.size();
    // Doubling keeps the memory near what has really been inflated, whatever `limit` promises.
    out.resize(std::min(limit, had + std::clamp(had, size_t{1} << 12, kStep)));
    const size_t fed = std::min(file.size() - used, kStep);
    stream.next_in = const_cast<Bytef*>(file.data() + used);
    stream.avail_in = static_cast<uInt>(fed);
    stream.next_out = out.data() + had;
    stream.avail_out = static_cast<uInt>(out.size() - had);
    const int code = ::inflate(&stream, Z_NO_FLUSH);
    used += fed - stream.avail_in;
    out.resize(out.size() - stream.avail_out);
    if (code == Z_STREAM_END) {
      if (used == file.size()) return out;
      if (IsGzip(file.subspan(used)) && ::inflateReset(&stream) == Z_OK) continue;
      return base::DataLoss(fmt::format("{}: byte {}: got {} bytes after the end of the gzip data",
                                        name, used, file.size() - used));
    }
    if (code == Z_OK) continue;
    if (code == Z_BUF_ERROR && used == file.size()) {
      return base::DataLoss(
          fmt::format("{}: truncated: the gzip data stops in the middle, at byte {}", name, used));
    }
    return base::DataLoss(fmt::format("{}: byte {}: damaged gzip data: {}", name, used,
                                      stream.msg != nullptr ? stream.msg : ::zError(code)));
  }
  return out;
}

}  // namespace weft::data
