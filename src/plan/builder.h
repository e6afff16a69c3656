#pragma once
// Builder: grows a Program value by value and step by step, each value written once; Finish works
// out lifetimes, in-place writes and offsets.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kernel/backend.h"
#include "plan/program.h"

namespace weft::plan {

class Builder {
 public:
  explicit Builder(kernel::Backend* backend) : backend_(backend) {}

  // A value that no step writes: filled by the engine before the first step, or a parameter.
  int AddInput(std::string name, kernel::Layout layout, size_t bytes, Place place = Place::kArena);
  // The same memory under another shape (flatten). `layout` is plain, as is the value's own.
  int AddAlias(int value, const Shape& shape);
  // `value` in the wanted layout: itself, or the result of a reorder (made once).
  Result<int> Adapt(int value, const kernel::Layout& wanted);

  // Appends a step. `inputs` are the values of the read ports in order, adapted to the layouts the
  // op wants; each write port gets a new value, named `name` + "." + port. Returns the new values
  // in port order.
  Result<std::vector<int>> AddStep(const std::string& name, kernel::Backend::OpResult op,
                                   const std::vector<int>& inputs, double flops = 0);

  // `value` must survive to the end of the program.
  void KeepToEnd(int value);

  const Value& value(int index) const { return program_.values[static_cast<size_t>(index)]; }
  const kernel::Layout& layout(int index) const { return value(index).layout; }
  void SetName(int index, std::string name) {
    program_.values[static_cast<size_t>(index)].name = std::move(name);
  }
  kernel::Backend* backend() { return backend_; }
  Program& program() { return program_; }

  // Plans the memory. The builder is spent.
  Program Finish();

 private:
  int AddValue(std::string name, kernel::Layout layout, size_t bytes, Place place);
  void ShareInPlace(std::vector<int>* first, std::vector<int>* last);

  kernel::Backend* backend_;
  Program program_;
  std::vector<int> storage_;  // of each value: the value whose memory it shares; itself if its own
  std::vector<bool> keep_;
  std::vector<bool> external_;
  std::map<std::pair<int, std::string>, int> adapted_;
};

}  // namespace weft::plan
