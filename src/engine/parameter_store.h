#pragma once
// ParameterStore: a device's parameters in the layouts that its kernels chose, and their trip from
// and to the flat vector.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "kernel/backend.h"
#include "model/graph.h"
#include "plan/program.h"
#include "tensor/arena.h"

namespace weft::engine {

// Threads: one at a time.
class ParameterStore {
 public:
  explicit ParameterStore(const model::Graph* graph) : graph_(graph) {}
  ParameterStore(const ParameterStore&) = delete;  // readers point back

  // Takes the layouts and offsets of the first program, and so of all later ones. All values are
  // zero. Errors: those of Backend::Reorder.
  Status Place(const plan::Program& program, kernel::Backend* backend);

  // One a parameter of the graph; empty before Place.
  const std::vector<kernel::Layout>& layouts() const { return layouts_; }
  size_t size() const { return layouts_.size(); }
  size_t offset(size_t i) const { return offsets_[i]; }  // bytes
  size_t bytes() const { return arena_.size(); }
  uint8_t* data() const { return arena_.data(); }
  std::span<float> values(size_t i) const { return In(arena_, i); }
  // The place of parameter i in another arena that is laid out like this one.
  std::span<float> In(const tensor::Arena& arena, size_t i) const {
    return {arena.floats(offsets_[i]), layouts_[i].floats()};
  }

  // flat: [graph.parameter_count()].
  void Set(std::span<const float> flat);
  void Get(std::span<float> flat) const;
  // plain: the values of parameter i alone, row-major.
  void Set(size_t i, std::span<const float> plain);

  // Copies tensors that lie at given addresses, each in the layout of its parameter, to plain ones.
  // Made by BindReader.
  class Reader {
   public:
    // plain: the place of parameter i alone.
    void Read(size_t i, std::span<float> plain) const;

   private:
    friend class ParameterStore;
    const ParameterStore* store_ = nullptr;
    std::vector<const void*> from_;
    std::vector<std::unique_ptr<kernel::Kernel>> reorders_;  // to staging; null where plain
  };
  // addresses: one a parameter.
  Reader BindReader(std::span<void* const> addresses) const;

  // Bytes held beside the parameters themselves.
  size_t exchange_bytes() const { return staging_.size() + scratch_.size(); }

 private:
  // One parameter between its kernel layout and the flat vector. Plain ones are copied directly.
  struct Exchange {
    std::unique_ptr<const kernel::Op> to_kernel;  // null: plain
    std::unique_ptr<const kernel::Op> to_flat;
    std::unique_ptr<kernel::Kernel> set;
  };

  size_t PlainSize(size_t i) const;  // values
  size_t PlainOffset(size_t i) const;

  const model::Graph* graph_;
  std::vector<kernel::Layout> layouts_;
  std::vector<size_t> offsets_;
  std::vector<Exchange> exchanges_;
  tensor::Arena arena_;
  tensor::Arena staging_;  // one plain tensor on its way from or to the flat vector
  tensor::Arena scratch_;  // of the reorders
  Reader reader_;          // of the parameters
};

}  // namespace weft::engine
