#pragma once
// Small data files in the public formats, made in memory; for tests.

#include <zlib.h>

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/file_system.h"

namespace weft::data {

// An IDX file of unsigned bytes.
inline Bytes IdxBytes(const std::vector<uint32_t>& dims, const Bytes& values) {
  Bytes file = {0, 0, 8, static_cast<uint8_t>(dims.size())};
  for (const uint32_t extent : dims) {
    for (int shift = 24; shift >= 0; shift -= 8)
      file.push_back(static_cast<uint8_t>(extent >> shift));
  }
  file.insert(file.end(), values.begin(), values.end());
  return file;
}

inline Bytes Gzip(ByteView bytes) {
  z_stream stream{};
  CHECK_EQ(::deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes out(::deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  CHECK_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

inline void WriteTestFile(const std::string& path, ByteView bytes) {
  CHECK(base::LocalFileSystem().WriteFileAtomic(path, bytes).ok()) << path;
}

}  // namespace weft::data
