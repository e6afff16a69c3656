#pragma once
// Digests: SHA-256 for identities of weights and configs, CRC32C (Castagnoli, RFC 3720 appendix
// B.4) for frames.

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace weft::base {

// Lower-case hex, 64 characters.
std::string Sha256Hex(ByteView bytes);

// Continue a checksum by passing the previous one; start from 0. Uses the CPU's instruction where
// there is one.
uint32_t Crc32c(ByteView bytes, uint32_t crc = 0);
// The reference twin, by tables only (eight bytes a turn).
uint32_t Crc32cPortable(ByteView bytes, uint32_t crc = 0);

// FNV-1a, 64 bit: cheap and stable, for trace hashes and tags. Not for anything adversarial.
uint64_t Fnv1a(ByteView bytes, uint64_t hash = 0xCBF29CE484222325ULL);

}  // namespace weft::base
