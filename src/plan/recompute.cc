#include "plan/recompute.h"

#include <algorithm>
#include <utility>

namespace weft::plan {
namespace {

bool Writes(const Step& step, size_t arg) {
  return step.op != nullptr && step.op->ports()[arg].access == kernel::Access::kWrite;
}

// One of each value: whether a step of the backward pass reads its memory.
std::vector<bool> ReadInBackward(const Draft& draft) {
  std::vector<bool> read(draft.size(), false);
  const std::vector<Step>& steps = draft.program.steps;
  for (auto s = static_cast<size_t>(draft.program.backward_begin); s < steps.size(); ++s) {
    for (size_t i = 0; i < steps[s].args.size(); ++i) {
      const auto arg = static_cast<size_t>(steps[s].args[i]);
      if (!Writes(steps[s], i)) read[static_cast<size_t>(draft.storage[arg])] = true;
    }
  }
  return read;
}

class Recomputation {
 public:
  Recomputation(Draft draft, const std::vector<int>& layers)
      : out_(std::move(draft)), made_by_(out_.size(), -1), again_(out_.size(), -1) {
    const std::vector<bool> kept = ReadInBackward(out_);
    for (size_t v = 0; v < out_.size(); ++v) {
      const int owner = out_.owner[v];
      const bool listed = std::find(layers.begin(), layers.end(), owner) != layers.end();
      dropped_.push_back(owner >= 0 && (listed || !kept[v]));
    }
    steps_.swap(out_.program.steps);
  }

  Draft Run() && {
    const auto backward = static_cast<size_t>(out_.program.backward_begin);
    for (size_t s = 0; s < backward; ++s) {
      Append(steps_[s]);
      for (const int written : Written(steps_[s])) {
        made_by_[static_cast<size_t>(written)] = static_cast<int>(s);
      }
    }
    for (size_t s = backward; s < steps_.size(); ++s) {
      Step step = steps_[s];
      // What is handed over is what the forward pass made.
      if (step.op != nullptr) RestoreInputs(&step);
      Append(std::move(step));
    }
    return std::move(out_);
  }

 private:
  void Append(Step step) { out_.program.steps.push_back(std::move(step)); }

  static std::vector<int> Written(const Step& step) {
    std::vector<int> values;
    for (size_t i = 0; i < step.args.size(); ++i) {
      if (Writes(step, i)) values.push_back(step.args[i]);
    }
    return values;
  }

  void RestoreInputs(Step* step) {
    for (size_t i = 0; i < step->args.size(); ++i) {
      if (!Writes(*step, i)) step->args[i] = Restored(step->args[i]);
    }
  }

  // `value` as the backward pass finds it: itself if it is kept, or its second making.
  int Restored(int value) {
    const auto v = static_cast<size_t>(value);
    if (v >= again_.size()) return value;  // made here
    if (again_[v] >= 0) return again_[v];
    if (const int storage = out_.storage[v]; storage != value) {
      const int restored = Restored(storage);
      again_[v] = restored == storage ? value : Alias(restored, value);
    } else if (!dropped_[v] || made_by_[v] < 0) {
      again_[v] = value;
    } else {
      MakeAgain(steps_[static_cast<size_t>(made_by_[v])]);
    }
    return again_[v];
  }

  int Alias(int storage, int like) {
    const Shape shape = out_.value(like).layout.shape();
    return out_.AddAlias(storage, shape);
  }

  void MakeAgain(Step step) {
    step.name = "again " + step.name;
    step.again = true;
    RestoreInputs(&step);
    for (size_t i = 0; i < step.args.size(); ++i) {
      if (!Writes(step, i)) continue;
      const auto first = static_cast<size_t>(step.args[i]);
      const Value copy = out_.program.values[first];
      step.args[i] = out_.AddValue(copy, -1);
      again_[first] = step.args[i];
    }
    Append(std::move(step));
  }

  Draft out_;
  std::vector<Step> steps_;  // of the draft that came in
  // One of each value of that draft:
  std::vector<bool> dropped_;
  std::vector<int> made_by_;  // the forward step that wrote it; -1: none
  std::vector<int> again_;    // Restored, once known; -1: not yet
};

}  // namespace

std::vector<KeptLayer> KeptLayers(const Draft& draft, size_t layers) {
  std::vector<KeptLayer> kept(layers);
  const std::vector<bool> read = ReadInBackward(draft);
  for (size_t v = 0; v < draft.size(); ++v) {
    if (read[v] && draft.owner[v] >= 0) {
      kept[static_cast<size_t>(draft.owner[v])].bytes += draft.program.values[v].bytes;
    }
  }
  for (int s = 0; s < draft.program.backward_begin; ++s) {
    const Step& step = draft.program.steps[static_cast<size_t>(s)];
    for (size_t i = 0; i < step.args.size(); ++i) {
      const int owner = draft.owner[static_cast<size_t>(step.args[i])];
      if (owner >= 0 && !Writes(step, i)) ++kept[static_cast<size_t>(owner)].readers;
    }
  }
  return kept;
}

Draft Recompute(Draft draft, const std::vector<int>& layers) {
  if (layers.empty()) return draft;
  CHECK(draft.program.backward_begin >= 0) << "nothing reads a forward value twice";
  return Recomputation(std::move(draft), layers).Run();
}

}  // namespace weft::plan
