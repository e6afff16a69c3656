#include "plan/builder.h"

#include <algorithm>

#include "plan/memory.h"
#include "tensor/arena.h"

namespace weft::plan {

int Builder::AddValue(std::string name, kernel::Layout layout, size_t bytes, Place place) {
  const int index = static_cast<int>(program_.values.size());
  program_.values.push_back({std::move(name), std::move(layout), bytes, place, 0});
  storage_.push_back(index);
  keep_.push_back(false);
  external_.push_back(false);
  return index;
}

int Builder::AddInput(std::string name, kernel::Layout layout, size_t bytes, Place place) {
  const int index = AddValue(std::move(name), std::move(layout), bytes, place);
  external_.back() = true;
  return index;
}

int Builder::AddAlias(int value, const Shape& shape) {
  const Value source = program_.values[static_cast<size_t>(value)];
  CHECK(source.layout.plain()) << source.name;
  CHECK_EQ(source.layout.shape().elements(), shape.elements()) << source.name;
  const int index = AddValue(source.name, kernel::Layout(shape), source.bytes, source.place);
  storage_.back() = storage_[static_cast<size_t>(value)];
  return index;
}

Result<int> Builder::Adapt(int value, const kernel::Layout& wanted) {
  if (layout(value) == wanted) return value;
  const auto key = std::make_pair(value, wanted.ToString());
  if (const auto found = adapted_.find(key); found != adapted_.end()) {
    if (layout(found->second) == wanted) return found->second;
  }
  const std::string name = program_.values[static_cast<size_t>(value)].name;
  ASSIGN_OR_RETURN(const std::vector<int> made,
                   AddStep("reorder " + name, backend_->Reorder(layout(value), wanted), {value}));
  SetName(made[0], name);
  adapted_[key] = made[0];
  return made[0];
}

Result<std::vector<int>> Builder::AddStep(const std::string& name, kernel::Backend::OpResult op,
                                          const std::vector<int>& inputs, double flops) {
  if (!op.ok()) return op.status().Annotate(name);
  Step step;
  step.name = name;
  step.op = std::move(op).value();
  step.flops = flops;
  const auto ports = step.op->ports();
  std::vector<int> outputs;
  size_t next_input = 0;
  step.args.assign(ports.size(), -1);
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].access == kernel::Access::kWrite) continue;
    CHECK_LT(next_input, inputs.size()) << name << " " << ports[i].name;
    int input = inputs[next_input++];
    if (ports[i].layout.shape().rank() > 0) {
      ASSIGN_OR_RETURN(input, Adapt(input, ports[i].layout));
    }
    step.args[i] = input;
  }
  CHECK_EQ(next_input, inputs.size()) << name;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].access != kernel::Access::kWrite) continue;
    step.args[i] =
        AddValue(name + "." + ports[i].name, ports[i].layout, ports[i].bytes, Place::kArena);
    outputs.push_back(step.args[i]);
  }
  program_.steps.push_back(std::move(step));
  return outputs;
}

void Builder::KeepToEnd(int value) { keep_[static_cast<size_t>(value)] = true; }

// Lets a step write over an input that dies with it, where its op allows that.
void Builder::ShareInPlace(std::vector<int>* first, std::vector<int>* last) {
  for (size_t s = 0; s < program_.steps.size(); ++s) {
    const Step& step = program_.steps[s];
    const auto ports = step.op->ports();
    for (size_t i = 0; i < ports.size(); ++i) {
      if (ports[i].access != kernel::Access::kWrite || ports[i].may_overwrite < 0) continue;
      const int dst = storage_[static_cast<size_t>(step.args[i])];
      const int src =
          storage_[static_cast<size_t>(step.args[static_cast<size_t>(ports[i].may_overwrite)])];
      const Value& from = program_.values[static_cast<size_t>(src)];
      const Value& to = program_.values[static_cast<size_t>(dst)];
      const bool dies = (*last)[static_cast<size_t>(src)] == static_cast<int>(s);
      if (dst == src || !dies || from.place != Place::kArena || from.bytes < to.bytes) continue;
      for (int& storage : storage_) {
        if (storage == dst) storage = src;
      }
      (*last)[static_cast<size_t>(src)] = (*last)[static_cast<size_t>(dst)];
      (*first)[static_cast<size_t>(dst)] = -1;
    }
  }
}

Program Builder::Finish() {
  const size_t n = program_.values.size();
  const int end = static_cast<int>(program_.steps.size());
  std::vector<int> first(n, end);
  std::vector<int> last(n, -1);
  for (size_t v = 0; v < n; ++v) {
    if (external_[v]) first[static_cast<size_t>(storage_[v])] = 0;
    if (keep_[v]) last[static_cast<size_t>(storage_[v])] = end;
  }
  for (int s = 0; s < end; ++s) {
    for (const int arg : program_.steps[static_cast<size_t>(s)].args) {
      const auto storage = static_cast<size_t>(storage_[static_cast<size_t>(arg)]);
      first[storage] = std::min(first[storage], s);
      last[storage] = std::max(last[storage], s);
    }
  }
  ShareInPlace(&first, &last);

  size_t parameter_bytes = 0;
  for (const ParameterValues& parameter : program_.parameters) {
    Value& value = program_.values[static_cast<size_t>(parameter.weights)];
    value.offset = parameter_bytes;
    parameter_bytes += tensor::AlignUp(value.bytes);
  }
  std::vector<Lifetime> lives(n);
  for (size_t v = 0; v < n; ++v) {
    const Value& value = program_.values[v];
    if (value.place == Place::kArena && storage_[v] == static_cast<int>(v) && last[v] >= 0) {
      lives[v] = {value.bytes, first[v], last[v]};
    }
  }
  for (int s = 0; s < end; ++s) {
    lives.push_back({program_.steps[static_cast<size_t>(s)].op->scratch_bytes(), s, s});
  }
  const MemoryPlan memory = PlanMemory(lives);
  for (size_t v = 0; v < n; ++v) {
    Value& value = program_.values[v];
    const auto storage = static_cast<size_t>(storage_[v]);
    value.offset =
        value.place == Place::kArena ? memory.offsets[storage] : program_.values[storage].offset;
  }
  for (int s = 0; s < end; ++s) {
    program_.steps[static_cast<size_t>(s)].scratch_offset =
        memory.offsets[n + static_cast<size_t>(s)];
  }
  program_.arena_bytes = memory.total_bytes;
  program_.arena_floor_bytes = MemoryFloor(lives);
  program_.parameter_bytes = parameter_bytes;
  return std::move(program_);
}

}  // namespace weft::plan
