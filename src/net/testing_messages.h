#pragma once
// For the tests of this room: messages with random content in every field, and whether two are the
// same.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "base/rng.h"
#include "cluster/message.h"

namespace weft::net::testing {

// All fields of a message as a tuple of references. The number of names must be the number of
// fields: a field added to a message stops this from compiling, and then belongs on the wire too.
template <class... F>
auto Refs(F&... fields) {
  return std::tie(fields...);
}
#define WEFT_FIELDS(Type, ...)                                   \
  template <class M>                                             \
  requires std::is_same_v<std::remove_const_t<M>, cluster::Type> \
  auto Fields(M& message) {                                      \
    auto& [__VA_ARGS__] = message;                               \
    return Refs(__VA_ARGS__);                                    \
  }
WEFT_FIELDS(Address, a, b)
WEFT_FIELDS(Lease, a, b, c, d, e, f)
WEFT_FIELDS(Range, a, b)
WEFT_FIELDS(Layout::Part, a, b, c, d, e)
WEFT_FIELDS(Layout, a, b)
WEFT_FIELDS(DeviceStats, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
WEFT_FIELDS(Applied, a, b, c, d)
WEFT_FIELDS(Hello, a, b, c, d, e, f, g, h, i, j)
WEFT_FIELDS(Welcome, a, b, c, d, e, f, g, h, i)
WEFT_FIELDS(Refuse, a, b, c)
WEFT_FIELDS(Heartbeat, a, b, c, d, e, f)
WEFT_FIELDS(HeartbeatAck, a)
WEFT_FIELDS(Grant, a, b, c, d, e, f, g, h, i, j, k, l)
WEFT_FIELDS(ReturnLease, a, b, c, d)
WEFT_FIELDS(Fault, a, b, c, d)
WEFT_FIELDS(Finished, a, b, c)
WEFT_FIELDS(Bye, a)
WEFT_FIELDS(Push, a, b, c, d, e, f, g, h, i, j, k, l)
WEFT_FIELDS(PushAck, a, b, c, d, e)
WEFT_FIELDS(Pull, a, b, c, d, e, f)
WEFT_FIELDS(Parameters, a, b, c, d, e, f)
WEFT_FIELDS(BeginStep, a, b, c, d, e, f, g, h, i, j, k, l)
WEFT_FIELDS(Committed, a, b, c, d, e, f, g, h, i, j, k)
WEFT_FIELDS(AskMissing, a, b, c)
WEFT_FIELDS(Missing, a, b, c, d)
WEFT_FIELDS(CheckpointDone, a, b, c, d)
WEFT_FIELDS(BeginStream, a, b, c, d)
WEFT_FIELDS(EndStream, a, b, c, d)
WEFT_FIELDS(StreamEnded, a, b, c)
WEFT_FIELDS(Replicate, a, b, c, d, e, f, g, h, i)
WEFT_FIELDS(Replicated, a, b, c, d)
WEFT_FIELDS(Reshape, a, b, c)
WEFT_FIELDS(RangeState, a, b, c, d, e, f, g, h)
WEFT_FIELDS(Seated, a, b, c, d, e, f)
WEFT_FIELDS(Relayout, a, b)
WEFT_FIELDS(AskSamples, a, b, c)
WEFT_FIELDS(Samples, a, b, c, d, e)
WEFT_FIELDS(JointPush, a, b, c, d)
WEFT_FIELDS(PushAgain, a, b)
WEFT_FIELDS(UseRelay, a, b, c, d, e)
#undef WEFT_FIELDS

template <class T>
void Randomize(base::Rng& rng, T* value);

inline void Randomize(base::Rng& rng, bool* value) { *value = rng.NextBelow(2) == 1; }
inline void Randomize(base::Rng& rng, double* value) { *value = rng.NextUniform(-1e6, 1e6); }
inline void Randomize(base::Rng& rng, uint8_t* value) {
  *value = static_cast<uint8_t>(rng.NextBelow(4));
}
inline void Randomize(base::Rng& rng, uint32_t* value) {
  *value = static_cast<uint32_t>(rng.Next());
}
inline void Randomize(base::Rng& rng, uint64_t* value) { *value = rng.Next(); }
inline void Randomize(base::Rng& rng, int64_t* value) { *value = static_cast<int64_t>(rng.Next()); }
// The only int32 fields are status codes.
inline void Randomize(base::Rng& rng, int32_t* value) {
  *value = static_cast<int32_t>(rng.NextBelow(17));
}
inline void Randomize(base::Rng& rng, cluster::Role* value) {
  *value = static_cast<cluster::Role>(rng.NextBelow(5));
}
inline void Randomize(base::Rng& rng, std::string* value) {
  static const char* const kPieces[] = {"a", "0", " ", "\n", "\"", "ß", "…", "網", "🧵"};
  value->clear();
  const uint64_t pieces = rng.NextBelow(20);
  for (uint64_t i = 0; i < pieces; ++i) *value += kPieces[rng.NextBelow(std::size(kPieces))];
}
inline void Randomize(base::Rng& rng, cluster::Payload* value) {
  Bytes bytes(rng.NextBelow(3000));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng.Next());
  *value = std::make_shared<const Bytes>(std::move(bytes));
}
template <class T>
void Randomize(base::Rng& rng, std::vector<T>* value) {
  value->resize(rng.NextBelow(8));
  for (T& element : *value) Randomize(rng, &element);
}
template <class T>
void Randomize(base::Rng& rng, T* value) {
  std::apply([&](auto&... field) { (Randomize(rng, &field), ...); }, Fields(*value));
}
// The updates that a sum stands for have no gradients of their own.
inline void Randomize(base::Rng& rng, cluster::JointPush* value) {
  std::apply([&](auto&... field) { (Randomize(rng, &field), ...); }, Fields(*value));
  for (cluster::Push& push : value->updates) push.gradient = nullptr;
}

// Payloads are compared by content; none and an empty one are the same.
inline bool Same(const cluster::Payload& a, const cluster::Payload& b) {
  static const Bytes kEmpty;
  return (a ? *a : kEmpty) == (b ? *b : kEmpty);
}
template <class T>
bool Same(const T& a, const T& b);
inline bool Same(const std::vector<cluster::Push>& a, const std::vector<cluster::Push>& b) {
  return std::ranges::equal(a, b, [](const cluster::Push& left, const cluster::Push& right) {
    return Same(left, right);
  });
}
template <class T>
bool Same(const T& a, const T& b) {
  if constexpr (requires { a == b; }) {
    return a == b;
  } else {
    return std::apply(
        [&](const auto&... left) {
          return std::apply([&](const auto&... right) { return (Same(left, right) && ...); },
                            Fields(b));
        },
        Fields(a));
  }
}
inline bool Same(const cluster::Envelope& a, const cluster::Envelope& b) {
  if (a.from != b.from || a.to != b.to || a.message.index() != b.message.index()) return false;
  return std::visit(
      [&](const auto& left) {
        return Same(left, std::get<std::decay_t<decltype(left)>>(b.message));
      },
      a.message);
}

// An envelope from a worker to its coordinator.
inline cluster::Envelope Say(cluster::Message message) {
  return {.from = {1, cluster::Role::kWorker}, .to = {}, .message = std::move(message)};
}

inline constexpr size_t kKinds = std::variant_size_v<cluster::Message>;

// A default message of kind `index`, 0..kKinds-1.
template <size_t... I>
cluster::Message DefaultOf(size_t index, std::index_sequence<I...>) {
  cluster::Message message;
  (void)((I == index && (message.emplace<I>(), true)) || ...);
  return message;
}

inline cluster::Envelope RandomEnvelope(base::Rng& rng, size_t kind) {
  cluster::Envelope envelope;
  Randomize(rng, &envelope.from);
  Randomize(rng, &envelope.to);
  envelope.message = DefaultOf(kind, std::make_index_sequence<kKinds>());
  std::visit([&](auto& message) { Randomize(rng, &message); }, envelope.message);
  return envelope;
}

}  // namespace weft::net::testing
