#include "engine/parameter_store.h"

#include <algorithm>
#include <cstring>

namespace weft::engine {

size_t ParameterStore::PlainSize(size_t i) const {
  return static_cast<size_t>(graph_->parameters()[i].shape.elements());
}

size_t ParameterStore::PlainOffset(size_t i) const {
  return static_cast<size_t>(graph_->parameters()[i].offset);
}

Status ParameterStore::Place(const plan::Program& program, kernel::Backend* backend) {
  CHECK(layouts_.empty()) << "placed twice";
  for (const plan::ParameterValues& parameter : program.parameters) {
    const plan::Value& value = program.values[static_cast<size_t>(parameter.weights)];
    layouts_.push_back(value.layout);
    offsets_.push_back(value.offset);
  }
  size_t scratch_bytes = 0;
  for (const kernel::Layout& layout : layouts_) {
    Exchange exchange;
    if (!layout.plain()) {
      const kernel::Layout plain(layout.shape());
      ASSIGN_OR_RETURN(exchange.to_kernel, backend->Reorder(plain, layout));
      ASSIGN_OR_RETURN(exchange.to_flat, backend->Reorder(layout, plain));
      scratch_bytes = std::max(
          {scratch_bytes, exchange.to_kernel->scratch_bytes(), exchange.to_flat->scratch_bytes()});
    }
    exchanges_.push_back(std::move(exchange));
  }
  arena_ = tensor::Arena(program.parameter_bytes);
  staging_ = tensor::Arena(plan::StagingBytes(program));
  scratch_ = tensor::Arena(scratch_bytes);
  std::vector<void*> addresses;
  for (size_t i = 0; i < size(); ++i) {
    addresses.push_back(values(i).data());
    if (exchanges_[i].to_kernel == nullptr) continue;
    void* const args[] = {staging_.data(), addresses.back()};
    exchanges_[i].set = exchanges_[i].to_kernel->Bind(args, scratch_.data());
  }
  reader_ = BindReader(addresses);
  return OkStatus();
}

void ParameterStore::Set(size_t i, std::span<const float> plain) {
  CHECK(!layouts_.empty()) << "Place first";
  CHECK_EQ(plain.size(), PlainSize(i));
  const bool direct = exchanges_[i].set == nullptr;
  void* const to = direct ? static_cast<void*>(values(i).data()) : staging_.data();
  std::memcpy(to, plain.data(), plain.size_bytes());
  if (!direct) exchanges_[i].set->Run();
}

void ParameterStore::Set(std::span<const float> flat) {
  CHECK_EQ(flat.size(), static_cast<size_t>(graph_->parameter_count()));
  CHECK(!layouts_.empty()) << "Place first";
  for (size_t i = 0; i < size(); ++i) Set(i, flat.subspan(PlainOffset(i), PlainSize(i)));
}

void ParameterStore::Get(std::span<float> flat) const {
  CHECK_EQ(flat.size(), static_cast<size_t>(graph_->parameter_count()));
  for (size_t i = 0; i < size(); ++i) {
    reader_.Read(i, flat.subspan(PlainOffset(i), PlainSize(i)));
  }
}

ParameterStore::Reader ParameterStore::BindReader(std::span<void* const> addresses) const {
  CHECK_EQ(addresses.size(), size());
  Reader reader;
  reader.store_ = this;
  for (size_t i = 0; i < size(); ++i) {
    std::unique_ptr<kernel::Kernel> reorder;
    if (exchanges_[i].to_flat != nullptr) {
      void* const args[] = {addresses[i], staging_.data()};
      reorder = exchanges_[i].to_flat->Bind(args, scratch_.data());
    }
    reader.from_.push_back(addresses[i]);
    reader.reorders_.push_back(std::move(reorder));
  }
  return reader;
}

void ParameterStore::Reader::Read(size_t i, std::span<float> plain) const {
  CHECK_EQ(plain.size(), store_->PlainSize(i));
  const void* from = from_[i];
  if (reorders_[i] != nullptr) {
    reorders_[i]->Run();
    from = store_->staging_.data();
  }
  std::memcpy(plain.data(), from, plain.size_bytes());
}

}  // namespace weft::engine
