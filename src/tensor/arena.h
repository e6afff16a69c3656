#pragma once
// Arena: one aligned allocation that a plan hands out by offset.

#include <cstddef>
#include <cstdint>
#include <memory>

namespace weft::tensor {

inline constexpr size_t kAlignment = 64;  // a cache line, and the widest vector register

inline size_t AlignUp(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

class Arena {
 public:
  Arena() = default;
  // Zero-filled, aligned to kAlignment; the system hands out the pages as they are first touched.
  explicit Arena(size_t bytes);

  // Another size, and perhaps another address; what was in it is lost. Memory that the system has
  // handed out stays, as far as it is still needed: to get it anew costs more than to plan does.
  void Resize(size_t bytes);
  // Takes all pages from the system now and not when they are first touched.
  void Populate();

  size_t size() const { return size_; }
  uint8_t* data() const { return data_.get(); }
  float* floats(size_t byte_offset) const {
    return reinterpret_cast<float*>(data_.get() + byte_offset);
  }

 private:
  struct Free {
    explicit Free(size_t bytes = 0) : size(bytes) {}
    void operator()(uint8_t* data) const;
    size_t size;
  };
  using Memory = std::unique_ptr<uint8_t, Free>;
  size_t size_ = 0;
  Memory data_{nullptr, Free(0)};
};

}  // namespace weft::tensor
