#include "plan/draft.h"

#include <algorithm>

#include "plan/memory.h"
#include "tensor/arena.h"

namespace weft::plan {
namespace {

class Planner {
 public:
  explicit Planner(Draft draft)
      : draft_(std::move(draft)),
        program_(draft_.program),
        first_(draft_.size(), static_cast<int>(program_.steps.size())),
        last_(draft_.size(), -1) {}

  Program Plan() && {
    CheckUpdatesComeLast();
    FindLifetimes();
    ShareInPlace();
    PlaceParameters();
    PlaceInArena();
    return std::move(program_);
  }

 private:
  size_t StorageOf(int value) const {
    return static_cast<size_t>(draft_.storage[static_cast<size_t>(value)]);
  }

  // A step after a parameter's hand-over would read weights that are new already.
  void CheckUpdatesComeLast() const {
    std::vector<bool> handed_over(draft_.size(), false);
    for (const Step& step : program_.steps) {
      for (const int arg : step.args) CHECK(!handed_over[StorageOf(arg)]) << step.name;
      if (step.parameter < 0) continue;
      const int weights = program_.parameters[static_cast<size_t>(step.parameter)].weights;
      if (weights >= 0) handed_over[StorageOf(weights)] = true;
    }
  }

  void FindLifetimes() {
    const int end = static_cast<int>(program_.steps.size());
    for (size_t v = 0; v < draft_.size(); ++v) {
      const auto storage = static_cast<size_t>(draft_.storage[v]);
      if (draft_.external[v]) first_[storage] = 0;
      if (draft_.keep[v]) last_[storage] = end;
    }
    for (int s = 0; s < end; ++s) {
      for (const int arg : program_.steps[static_cast<size_t>(s)].args) {
        const size_t storage = StorageOf(arg);
        first_[storage] = std::min(first_[storage], s);
        last_[storage] = std::max(last_[storage], s);
      }
    }
  }

  // Lets a step write over an input that dies with it, where its op allows that.
  void ShareInPlace() {
    for (size_t s = 0; s < program_.steps.size(); ++s) {
      const Step& step = program_.steps[s];
      if (step.op == nullptr) continue;
      const auto ports = step.op->ports();
      for (size_t i = 0; i < ports.size(); ++i) {
        if (ports[i].access != kernel::Access::kWrite || ports[i].may_overwrite < 0) continue;
        const size_t dst = StorageOf(step.args[i]);
        const size_t src = StorageOf(step.args[static_cast<size_t>(ports[i].may_overwrite)]);
        const Value& from = program_.values[src];
        const bool dies = last_[src] == static_cast<int>(s);
        if (dst == src || !dies || from.place != Place::kArena ||
            from.bytes < program_.values[dst].bytes) {
          continue;
        }
        for (int& storage : draft_.storage) {
          if (storage == static_cast<int>(dst)) storage = static_cast<int>(src);
        }
        last_[src] = last_[dst];
        first_[dst] = -1;
      }
    }
  }

  void PlaceParameters() {
    size_t bytes = 0;
    for (const ParameterValues& parameter : program_.parameters) {
      Value& value = program_.values[static_cast<size_t>(parameter.weights)];
      value.offset = bytes;
      bytes += tensor::AlignUp(value.bytes);
    }
    program_.parameter_bytes = bytes;
  }

  void PlaceInArena() {
    const size_t n = draft_.size();
    std::vector<Lifetime> lives(n);
    for (size_t v = 0; v < n; ++v) {
      const Value& value = program_.values[v];
      if (value.place == Place::kArena && StorageOf(static_cast<int>(v)) == v && last_[v] >= 0) {
        lives[v] = {value.bytes, first_[v], last_[v]};
      }
    }
    for (int s = 0; const Step& step : program_.steps) {
      lives.push_back({step.op == nullptr ? 0 : step.op->scratch_bytes(), s, s});
      ++s;
    }
    const MemoryPlan memory = PlanMemory(lives);
    for (size_t v = 0; v < n; ++v) {
      Value& value = program_.values[v];
      const size_t storage = StorageOf(static_cast<int>(v));
      value.offset =
          value.place == Place::kArena ? memory.offsets[storage] : program_.values[storage].offset;
    }
    for (size_t s = 0; s < program_.steps.size(); ++s) {
      program_.steps[s].scratch_offset = memory.offsets[n + s];
    }
    program_.arena_bytes = memory.total_bytes;
    program_.arena_floor_bytes = MemoryFloor(lives);
  }

  Draft draft_;
  Program& program_;
  std::vector<int> first_;  // step that writes a storage
  std::vector<int> last_;   // last step that reads it; -1: none
};

}  // namespace

int Draft::AddValue(Value value, int owner_layer) {
  const int index = static_cast<int>(program.values.size());
  program.values.push_back(std::move(value));
  storage.push_back(index);
  owner.push_back(owner_layer);
  keep.push_back(false);
  external.push_back(false);
  return index;
}

int Draft::AddAlias(int value, const Shape& shape) {
  const Value source = program.values[static_cast<size_t>(value)];
  CHECK(source.layout.plain()) << source.name;
  CHECK_EQ(source.layout.shape().elements(), shape.elements()) << source.name;
  const int index = AddValue({source.name, kernel::Layout(shape), source.bytes, source.place, 0},
                             owner[static_cast<size_t>(value)]);
  storage.back() = storage[static_cast<size_t>(value)];
  return index;
}

Program PlanDraft(Draft draft) { return Planner(std::move(draft)).Plan(); }

}  // namespace weft::plan
