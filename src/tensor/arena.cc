#include "tensor/arena.h"

#include <sys/mman.h>

#include "base/check.h"

namespace weft::tensor {

Arena::Arena(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(data != MAP_FAILED) << "cannot map " << bytes << " bytes";
  // Fewer page faults and TLB misses on large arenas; a refusal does no harm.
  if (bytes >= (size_t{4} << 20)) ::madvise(data, bytes, MADV_HUGEPAGE);
  data_ = std::unique_ptr<uint8_t, Free>(static_cast<uint8_t*>(data), Free(bytes));
}

void Arena::Free::operator()(uint8_t* data) const { ::munmap(data, size); }

}  // namespace weft::tensor
