#pragma once
// Reading gzip (RFC 1952) in memory, never more of it than the caller is ready to hold.

#include <string>

#include "base/bytes.h"
#include "base/status.h"

namespace weft::data {

// True if `file` starts with gzip's two magic bytes.
bool IsGzip(ByteView file);

// The first `limit` bytes of what `file` inflates to, or all of it if that is less; several members
// in a row are joined. Checksums are verified for the members that end within the limit.
// Errors: kDataLoss naming `name` and the byte of the compressed file, for a damaged or cut stream.
Result<Bytes> GunzipAtMost(ByteView file, size_t limit, const std::string& name);

}  // namespace weft::data
