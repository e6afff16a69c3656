#pragma once
// Op: one planned piece of math, in three stages: a checked description becomes an Op with fixed
// shapes and layouts; Bind ties it to addresses; Run computes, as often as wanted, allocating
// nothing of its own.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernel/layout.h"

namespace weft::kernel {

enum class Access { kRead, kWrite, kReadWrite };

// One argument of an Op. Ports of integer data (labels, sample keys, workspaces) have no layout,
// only bytes.
struct Port {
  std::string name;  // the field's own: src, weights, dst, diff_src, workspace, ...
  Access access = Access::kRead;
  Layout layout;     // what the Op wants or makes; empty shape for non-tensor ports
  size_t bytes = 0;  // memory needed
  int may_overwrite =
      -1;  // for kWrite: the index of a read port whose memory may be the same (in place); -1: none
};

// An Op tied to addresses. Threads: one at a time.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void Run() = 0;
};

// Immutable; threads: any.
class Op {
 public:
  virtual ~Op() = default;
  // In the order documented at the factory in backend.h; an absent optional argument (no bias) has
  // no port.
  std::span<const Port> ports() const { return ports_; }
  // Scratch memory wanted while Run is under way; its content need not survive.
  size_t scratch_bytes() const { return scratch_bytes_; }
  // Which implementation this is: "onednn:jit:avx2" or "reference".
  const std::string& implementation() const { return implementation_; }

  // `args` matches ports(); every address is aligned to tensor::kAlignment and holds
  // ports()[i].bytes bytes, all of which must be writable during Bind where the port is written.
  // The memory must outlive the Kernel.
  virtual std::unique_ptr<Kernel> Bind(std::span<void* const> args, void* scratch) const = 0;

 protected:
  std::vector<Port> ports_;
  size_t scratch_bytes_ = 0;
  std::string implementation_;
};

}  // namespace weft::kernel
