#include "tensor/arena.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"

namespace weft::tensor {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kLarge = 2 * kHugePage;

// Of whole huge pages where they pay, so that the system aligns them, wherever it moves them.
size_t MappedBytes(size_t bytes) {
  return bytes < kLarge ? bytes : (bytes + kHugePage - 1) / kHugePage * kHugePage;
}

void* Checked(void* data, size_t bytes) {
  CHECK(data != MAP_FAILED) << "cannot map " << bytes << " bytes";
  // Fewer page faults and TLB misses on large arenas; a refusal does no harm.
  if (bytes >= kLarge) ::madvise(data, MappedBytes(bytes), MADV_HUGEPAGE);
  return data;
}

}  // namespace

Arena::Arena(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* const data = ::mmap(nullptr, MappedBytes(bytes), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  data_ = Memory(static_cast<uint8_t*>(Checked(data, bytes)), Free(MappedBytes(bytes)));
}

void Arena::Resize(size_t bytes) {
  if (size_ == 0 || bytes == 0) {
    *this = Arena(bytes);
    return;
  }
  void* const data = ::mremap(data_.get(), MappedBytes(size_), MappedBytes(bytes), MREMAP_MAYMOVE);
  Checked(data, bytes);
  data_.release();
  data_ = Memory(static_cast<uint8_t*>(data), Free(MappedBytes(bytes)));
  size_ = bytes;
}

// Bit by bit: a system that limits the processor's time may only stop the whole process afterwards,
// for as long as one call has taken too much.
void Arena::Populate() {
#ifdef MADV_POPULATE_WRITE  // Linux 5.14; a refusal does no harm
  for (size_t done = 0; done < size_; done += kHugePage) {
    ::madvise(data_.get() + done, std::min(kHugePage, size_ - done), MADV_POPULATE_WRITE);
  }
#endif
}

void Arena::Free::operator()(uint8_t* data) const { ::munmap(data, size); }

}  // namespace weft::tensor
