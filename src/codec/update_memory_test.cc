// Counts what the program allocates, so it replaces the global operators.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/rng.h"
#include "codec/codec.h"

namespace {

std::atomic<size_t> live_bytes = 0;
std::atomic<size_t> most_bytes = 0;

// Keeps the size in front of what it hands out.
constexpr size_t kHead = alignof(std::max_align_t);

void* Allocate(size_t bytes) {
  auto* const memory = static_cast<char*>(std::malloc(bytes + kHead));
  if (memory == nullptr) std::abort();
  *reinterpret_cast<size_t*>(memory) = bytes;
  const size_t live = live_bytes.fetch_add(bytes) + bytes;
  if (live > most_bytes) most_bytes = live;
  return memory + kHead;
}

void Free(void* memory) {
  if (memory == nullptr) return;
  char* const head = static_cast<char*>(memory) - kHead;
  live_bytes -= *reinterpret_cast<size_t*>(head);
  std::free(head);
}

}  // namespace

void* operator new(size_t bytes) { return Allocate(bytes); }
void* operator new[](size_t bytes) { return Allocate(bytes); }
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete[](void* memory) noexcept { Free(memory); }
void operator delete(void* memory, size_t) noexcept { Free(memory); }
void operator delete[](void* memory, size_t) noexcept { Free(memory); }

namespace weft::codec {
namespace {

// The codec itself and all it takes while it encodes, beside the residual and the packet; and what
// adding takes.
TEST(UpdateMemory, OfAMillionValuesIsAtMost64KiB) {
  constexpr size_t kValues = 1000000;
  constexpr size_t kMost = 64 << 10;
  base::Rng rng(1);
  std::vector<float> values(kValues);
  for (float& value : values) value = static_cast<float>(rng.NextNormal());
  for (const char* name : {"int8", "3lc", "chunk-topk", "dgc", "auto"}) {
    std::vector<float> residual(kValues);
    Bytes packet;
    packet.reserve(5 * kValues);
    const size_t before = live_bytes;
    most_bytes = before;
    const auto codec = MakeCodec(name).value();
    for (int step = 0; step < 3; ++step) {
      packet.clear();
      ASSERT_TRUE(codec->Encode(values, residual, &packet).ok());
    }
    EXPECT_LE(most_bytes - before, kMost) << name;
    most_bytes = live_bytes.load();
    const size_t after = live_bytes;
    ASSERT_TRUE(codec->Add({}, packet, 1, residual).ok());
    EXPECT_LE(most_bytes - after, kMost) << name;
  }
}

}  // namespace
}  // namespace weft::codec
