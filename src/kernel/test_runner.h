#pragma once
// OpRunner: runs one Op on plain arrays for tests and benchmarks, with reorders at the edges. It is
// a hostile host: what the Op writes holds NaNs beforehand, also after Bind, as in an arena whose
// memory another Op has just used; and it checks that padding is zero afterwards.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernel/backend.h"
#include "tensor/arena.h"

namespace weft::kernel {

using Floats = std::vector<float>;

inline Floats RandomFloats(int64_t n, uint64_t seed, double scale = 1) {
  base::Rng rng(seed);
  Floats values(static_cast<size_t>(n));
  for (float& value : values) value = static_cast<float>(scale * rng.NextNormal());
  return values;
}

inline std::unique_ptr<Backend> TestBackend(const std::string& name, int threads = 1) {
  return MakeBackend(name, BackendOptions{threads}).value();
}

// Largest difference, as a share of the largest wanted value.
inline double WorstDeviation(const Floats& got, const Floats& want) {
  EXPECT_EQ(got.size(), want.size());
  double worst = 0, scale = 1e-30;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!std::isfinite(got[i])) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, std::abs(double{got[i]} - want[i]));
    scale = std::max(scale, std::abs(double{want[i]}));
  }
  return worst / scale;
}

// The blocked layout (plain where the library has none) in which a convolution of the fast backend
// leaves an image of this shape.
inline Layout BlockedAs(const Shape& shape) {
  const ConvDesc d{.batch = shape[0],
                   .in_channels = 8,
                   .in_height = shape[2],
                   .in_width = shape[3],
                   .out_channels = shape[1],
                   .kernel_height = 1,
                   .kernel_width = 1};
  return TestBackend("onednn")->ConvForward(d, Layout()).value()->ports().back().layout;
}

class OpRunner {
 public:
  using Memory = std::shared_ptr<tensor::Arena>;

  OpRunner(Backend& backend, Backend::OpResult op)
      : backend_(backend), op_(std::move(op).value()), memory_(op_->ports().size()) {
    for (size_t i = 0; i < memory_.size(); ++i) {
      memory_[i] = std::make_shared<tensor::Arena>(op_->ports()[i].bytes);
    }
  }

  const Op& op() const { return *op_; }
  const Port& port(const std::string& name) const { return op_->ports()[IndexOf(name)]; }
  const Memory& memory(const std::string& name) const { return memory_[IndexOf(name)]; }

  OpRunner& Set(const std::string& name, const Floats& values) {
    inputs_[name] = values;
    return *this;
  }
  // Keys, labels, or the workspace of another Op.
  OpRunner& SetBytes(const std::string& name, const void* data, size_t bytes) {
    EXPECT_EQ(bytes, port(name).bytes) << name;
    std::memcpy(memory(name)->data(), data, bytes);
    return *this;
  }
  OpRunner& SetBytes(const std::string& name, const Memory& from) {
    return SetBytes(name, from->data(), from->size());
  }
  // Binds the written port to the memory of the read port it may overwrite.
  OpRunner& InPlace(const std::string& written) {
    const int read = port(written).may_overwrite;
    EXPECT_GE(read, 0) << written << " may not overwrite anything";
    memory_[IndexOf(written)] = memory_[static_cast<size_t>(read)];
    return *this;
  }

  OpRunner& Run() {
    std::vector<void*> args;
    for (const Memory& memory : memory_) args.push_back(memory->data());
    tensor::Arena scratch(op_->scratch_bytes());
    const std::unique_ptr<Kernel> kernel = op_->Bind(args, scratch.data());
    for (size_t i = 0; i < memory_.size(); ++i) {
      if (op_->ports()[i].access == Access::kWrite) Spoil(*memory_[i]);
    }
    Spoil(scratch);
    for (const auto& [name, values] : inputs_) {
      CopyIn(port(name).layout, values, memory(name)->data());
    }
    kernel->Run();
    for (size_t i = 0; i < memory_.size(); ++i) CheckPadding(op_->ports()[i], *memory_[i]);
    return *this;
  }

  Floats Get(const std::string& name) const {
    return CopyOut(port(name).layout, memory(name)->data());
  }

 private:
  size_t IndexOf(const std::string& name) const {
    const auto ports = op_->ports();
    for (size_t i = 0; i < ports.size(); ++i) {
      if (ports[i].name == name) return i;
    }
    CHECK(false) << "no port " << name << " in " << op_->implementation();
    return 0;
  }

  static void Spoil(const tensor::Arena& memory) {
    if (memory.size() > 0) std::memset(memory.data(), 0xFF, memory.size());
  }

  void Copy(const Layout& from_layout, void* from, const Layout& to_layout, void* to) const {
    void* const args[] = {from, to};
    const std::unique_ptr<Op> reorder = backend_.Reorder(from_layout, to_layout).value();
    tensor::Arena scratch(reorder->scratch_bytes());
    reorder->Bind(args, scratch.data())->Run();
  }

  void CopyIn(const Layout& layout, const Floats& values, void* to) const {
    const Layout plain(layout.shape());
    CHECK_EQ(values.size(), plain.floats());
    tensor::Arena from(plain.bytes());
    std::memcpy(from.data(), values.data(), from.size());
    Copy(plain, from.data(), layout, to);
  }

  Floats CopyOut(const Layout& layout, void* from) const {
    const Layout plain(layout.shape());
    tensor::Arena to(plain.bytes());
    Copy(layout, from, plain, to.data());
    return {to.floats(0), to.floats(0) + plain.floats()};
  }

  // A blocked tensor written anew from its logical numbers must be the same bytes.
  void CheckPadding(const Port& port, const tensor::Arena& memory) const {
    if (port.layout.plain()) return;
    tensor::Arena anew(port.bytes);
    CopyIn(port.layout, CopyOut(port.layout, memory.data()), anew.data());
    EXPECT_EQ(std::memcmp(anew.data(), memory.data(), port.bytes), 0)
        << port.name << " of " << op_->implementation() << ": padding is not zero";
  }

  Backend& backend_;
  std::unique_ptr<Op> op_;
  std::vector<Memory> memory_;
  std::map<std::string, Floats> inputs_;
};

}  // namespace weft::kernel
