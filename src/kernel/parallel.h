#pragma once
// ParallelChunks: cuts an elementwise loop among OpenMP threads when it is long enough to pay.
// ParallelItems: shares out a few large pieces of work.

#include <cstddef>
#include <cstdint>

namespace weft::kernel {

inline constexpr size_t kParallelFloor = 64 << 10;  // elements; below, waking threads costs more

// Calls body(begin, end) for disjoint ranges that cover [0, n), at once on up to `threads` threads.
// Ranges begin at multiples of a cache line of floats.
template <class Body>
void ParallelChunks(size_t n, int threads, const Body& body) {
  if (threads <= 1 || n < kParallelFloor) {
    body(size_t{0}, n);
    return;
  }
  constexpr size_t kLine = 16;
  const size_t parts = static_cast<size_t>(threads);
  const size_t chunk = (n / parts + kLine) / kLine * kLine;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (size_t part = 0; part < parts; ++part) {
    const size_t begin = part * chunk < n ? part * chunk : n;
    body(begin, begin + chunk < n ? begin + chunk : n);
  }
}

// Calls body(item) for every item in [0, count), at once on up to `threads` threads; each takes a
// contiguous share.
template <class Body>
void ParallelItems(int64_t count, int threads, const Body& body) {
  if (threads <= 1 || count <= 1) {
    for (int64_t item = 0; item < count; ++item) body(item);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t item = 0; item < count; ++item) body(item);
}

}  // namespace weft::kernel
