#include "sim/optimizer_states.h"

#include <algorithm>
#include <utility>

#include "cluster/interval_set.h"
#include "cluster/range_state.h"

namespace weft::sim {
namespace {

size_t BytesOf(const OptimizerStates::State& state) {
  return state.parameters.size() * sizeof(float) * (1 + state.optimizer.moments.size());
}

}  // namespace

void OptimizerStates::Keep(State state) {
  bytes_ += BytesOf(state);
  states_.push_back(std::move(state));
  while (bytes_ > kMostBytes) {
    bytes_ -= BytesOf(states_.front());
    states_.pop_front();
    gaps_ = true;
  }
}

void OptimizerStates::Forget(int64_t step) {
  std::erase_if(states_, [&](const State& state) {
    if (state.step < step) bytes_ -= BytesOf(state);
    return state.step < step;
  });
}

bool OptimizerStates::Has(int64_t step) const {
  if (gaps_) return false;
  cluster::IntervalSet covered;
  for (const State& state : states_) {
    if (state.step == step) covered.Add(state.range.begin, state.range.end());
  }
  return covered.size() == spec_->parameter_count();
}

// The newest states with these bits, one for each place; none if they do not reach the end.
std::vector<const OptimizerStates::State*> OptimizerStates::Tile(
    std::span<const float> parameters) const {
  const size_t n = parameters.size();
  std::vector<const State*> from(n + 1, nullptr);  // [at]: the state that begins there
  std::vector<bool> reaches(n + 1);                // the end, from there on
  reaches[n] = true;
  std::vector<std::vector<const State*>> beginning(n);
  for (auto it = states_.rbegin(); it != states_.rend(); ++it) {
    const auto begin = static_cast<size_t>(it->range.begin);
    const auto part = parameters.subspan(begin, it->parameters.size());
    if (std::ranges::equal(it->parameters, part)) beginning[begin].push_back(&*it);
  }
  for (size_t at = n; at-- > 0;) {
    for (const State* state : beginning[at]) {
      if (!reaches[at + state->parameters.size()]) continue;
      from[at] = state;
      reaches[at] = true;
      break;
    }
  }
  std::vector<const State*> tiles;
  for (size_t at = 0; at < n && from[at] != nullptr; at += from[at]->parameters.size()) {
    tiles.push_back(from[at]);
  }
  return reaches[0] ? tiles : std::vector<const State*>();
}

std::optional<engine::OptimizerState> OptimizerStates::Find(
    std::span<const float> parameters) const {
  const std::vector<const State*> tiles = Tile(parameters);
  if (tiles.empty()) return std::nullopt;
  const cluster::Range all = {0, spec_->parameter_count()};
  cluster::RangeAssembly whole(*spec_, all);
  for (const State* tile : tiles) {
    cluster::RangeAssembly::Piece piece{.range = tile->range,
                                        .step = tile->step,
                                        .version = 0,
                                        .optimizer_steps = tile->optimizer.steps,
                                        .values = {}};
    piece.values.parameters = tile->parameters;
    for (const auto& moment : tile->optimizer.moments)
      piece.values.moments.push_back(moment.values);
    whole.Add(piece);
  }
  return whole.Take().optimizer;
}

}  // namespace weft::sim
