#pragma once
// Builder: grows a Draft value by value and step by step, each value written once, with reorders
// where an op wants another layout.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kernel/backend.h"
#include "plan/draft.h"

namespace weft::plan {

class Builder {
 public:
  explicit Builder(kernel::Backend* backend) : backend_(backend) {}

  // A value that no step writes: filled by the engine before the first step, or a parameter.
  int AddInput(std::string name, kernel::Layout layout, size_t bytes, Place place = Place::kArena);
  // The same memory under another shape (flatten). `layout` is plain, as is the value's own.
  int AddAlias(int value, const Shape& shape) { return draft_.AddAlias(value, shape); }
  // `value` in the wanted layout: itself, or the result of a reorder (made once).
  Result<int> Adapt(int value, const kernel::Layout& wanted);

  // Appends a step. `inputs` are the values of the read ports in order, adapted to the layouts the
  // op wants; each write port gets a new value, named `name` + "." + port. Returns the new values
  // in port order.
  Result<std::vector<int>> AddStep(const std::string& name, kernel::Backend::OpResult op,
                                   const std::vector<int>& inputs, double flops = 0);

  // Appends the hand-over of a parameter's gradient.
  void AddHandOver(std::string name, int parameter, int gradient);

  // The layer whose forward pass makes the values from now on; -1: none.
  void SetOwner(int layer) { owner_ = layer; }

  // `value` must survive to the end of the program.
  void KeepToEnd(int value) { draft_.keep[static_cast<size_t>(value)] = true; }

  const Value& value(int index) const { return draft_.value(index); }
  const kernel::Layout& layout(int index) const { return value(index).layout; }
  void SetName(int index, std::string name) {
    program().values[static_cast<size_t>(index)].name = std::move(name);
  }
  kernel::Backend* backend() { return backend_; }
  Program& program() { return draft_.program; }

  // The builder is spent.
  Draft Finish() { return std::move(draft_); }

 private:
  kernel::Backend* backend_;
  Draft draft_;
  int owner_ = -1;
  std::map<std::pair<int, std::string>, int> adapted_;
};

}  // namespace weft::plan
