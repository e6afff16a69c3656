#pragma once
// Trial: one Op on random numbers in memory of its own, to be timed and compared with another.

#include <memory>
#include <vector>

#include "base/clock.h"
#include "kernel/backend.h"
#include "tensor/arena.h"

namespace weft::kernel {

class Trial {
 public:
  // The logical numbers of a read port depend on its position alone, so two Ops with the same ports
  // in other layouts get the same. Errors: those of a reorder that `reorder` refuses.
  static Result<std::unique_ptr<Trial>> Make(std::unique_ptr<Op> op, Backend* reorder);

  // Seconds of one run.
  double Time(const base::Clock& clock);

  // The first tensor written, in row-major order. Errors as Make.
  Result<tensor::Arena> Output();

 private:
  explicit Trial(std::unique_ptr<Op> op) : op_(std::move(op)) {}
  Status Copy(const Layout& from_layout, void* from, const Layout& to_layout, void* to);

  std::unique_ptr<Op> op_;
  Backend* reorder_ = nullptr;
  std::vector<tensor::Arena> memory_;
  tensor::Arena scratch_;
  std::unique_ptr<Kernel> kernel_;
};

// |got - want| / |want|, in the Euclidean norm.
double RelativeDeviation(const tensor::Arena& got, const tensor::Arena& want);

}  // namespace weft::kernel
