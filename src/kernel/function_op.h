#pragma once
// FunctionOp: an Op whose math is one function over its arguments. Both backends that are written
// here (reference and SIMD) are made of these.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernel/op.h"

namespace weft::kernel {

// The bound addresses, typed on the way out.
class Arguments {
 public:
  Arguments(std::span<void* const> args, void* scratch)
      : args_(args.begin(), args.end()), scratch_(scratch) {}

  const float* in(int port) const { return static_cast<const float*>(args_[port]); }
  float* out(int port) const { return static_cast<float*>(args_[port]); }
  template <class T>
  T* at(int port) const {
    return static_cast<T*>(args_[port]);
  }
  template <class T>
  T* scratch() const {
    return static_cast<T*>(scratch_);
  }

 private:
  std::vector<void*> args_;
  void* scratch_;
};

class FunctionOp : public Op {
 public:
  // `body` is called with the bound arguments at each Run; it must not allocate.
  using Body = std::function<void(const Arguments&)>;

  FunctionOp(std::string implementation, std::vector<Port> ports, Body body,
             size_t scratch_bytes = 0)
      : body_(std::move(body)) {
    implementation_ = std::move(implementation);
    ports_ = std::move(ports);
    scratch_bytes_ = scratch_bytes;
  }

  std::unique_ptr<Kernel> Bind(std::span<void* const> args, void* scratch) const override {
    CHECK_EQ(args.size(), ports_.size());
    return std::make_unique<Bound>(body_, Arguments(args, scratch));
  }

 private:
  class Bound : public Kernel {
   public:
    Bound(Body body, Arguments args) : body_(std::move(body)), args_(std::move(args)) {}
    void Run() override { body_(args_); }

   private:
    Body body_;
    Arguments args_;
  };

  Body body_;
};

}  // namespace weft::kernel
