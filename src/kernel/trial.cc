#include "kernel/trial.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/rng.h"

namespace weft::kernel {

namespace {

// A stretch of random numbers, repeated: what matters is that no two channels are alike.
void Fill(uint64_t seed, tensor::Arena* memory) {
  constexpr size_t kPeriod = 9973;
  base::Rng rng(seed);
  const size_t n = memory->size() / sizeof(float);
  float* values = memory->floats(0);
  for (size_t i = 0; i < std::min(n, kPeriod); ++i) {
    values[i] = static_cast<float>(rng.NextUniform(-1, 1));
  }
  for (size_t at = kPeriod; at < n; at += kPeriod) {
    std::memcpy(values + at, values, std::min(kPeriod, n - at) * sizeof(float));
  }
}

}  // namespace

Result<std::unique_ptr<Trial>> Trial::Make(std::unique_ptr<Op> op, Backend* reorder) {
  std::unique_ptr<Trial> trial(new Trial(std::move(op)));
  trial->reorder_ = reorder;
  std::vector<void*> args;
  for (const Port& port : trial->op_->ports()) {
    trial->memory_.emplace_back(port.bytes);
    args.push_back(trial->memory_.back().data());
  }
  trial->scratch_ = tensor::Arena(trial->op_->scratch_bytes());
  trial->kernel_ = trial->op_->Bind(args, trial->scratch_.data());
  const auto ports = trial->op_->ports();
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].access != Access::kRead || ports[i].layout.shape().rank() == 0) continue;
    const Layout plain(ports[i].layout.shape());
    tensor::Arena values(plain.bytes());
    Fill(i, &values);
    RETURN_IF_ERROR(trial->Copy(plain, values.data(), ports[i].layout, args[i]));
  }
  return trial;
}

Status Trial::Copy(const Layout& from_layout, void* from, const Layout& to_layout, void* to) {
  if (from_layout == to_layout) {
    std::memcpy(to, from, from_layout.bytes());
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const auto op, reorder_->Reorder(from_layout, to_layout));
  const tensor::Arena scratch(op->scratch_bytes());
  void* const args[] = {from, to};
  op->Bind(args, scratch.data())->Run();
  return OkStatus();
}

double Trial::Time(const base::Clock& clock) {
  const TimePoint start = clock.Now();
  kernel_->Run();
  return base::Seconds(clock.Now() - start);
}

Result<tensor::Arena> Trial::Output() {
  const auto ports = op_->ports();
  size_t index = 0;
  while (ports[index].access == Access::kRead) ++index;
  const Layout plain(ports[index].layout.shape());
  tensor::Arena values(plain.bytes());
  RETURN_IF_ERROR(Copy(ports[index].layout, memory_[index].data(), plain, values.data()));
  return values;
}

double RelativeDeviation(const tensor::Arena& got, const tensor::Arena& want) {
  CHECK_EQ(got.size(), want.size());
  double apart = 0, norm = 0;
  for (size_t i = 0; i < want.size() / sizeof(float); ++i) {
    const double wanted = want.floats(0)[i];
    const double difference = got.floats(0)[i] - wanted;
    apart += difference * difference;
    norm += wanted * wanted;
  }
  return std::sqrt(apart / norm);
}

}  // namespace weft::kernel
