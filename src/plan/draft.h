#pragma once
// Draft: a Program without its memory: every piece of math in order, each value written once, who
// made it and who shares whose memory. The Builder makes one, Recompute rewrites it, PlanDraft
// works out lifetimes, in-place writes and offsets.

#include <string>
#include <vector>

#include "plan/program.h"

namespace weft::plan {

struct Draft {
  Program program;  // without offsets and sizes
  // One of each a value:
  std::vector<int> storage;    // the value whose memory it shares; itself if its own
  std::vector<int> owner;      // the layer whose forward pass made it; -1: none
  std::vector<bool> keep;      // survives to the end of the program
  std::vector<bool> external;  // no step writes it

  int AddValue(Value value, int owner_layer);
  // The same memory under another shape; the layouts of both are plain.
  int AddAlias(int value, const Shape& shape);

  size_t size() const { return program.values.size(); }
  const Value& value(int index) const { return program.values[static_cast<size_t>(index)]; }
};

// Plans the memory.
Program PlanDraft(Draft draft);

}  // namespace weft::plan
