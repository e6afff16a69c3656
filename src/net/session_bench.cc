// Sessions, in one process and over loopback: how fast a payload goes from Send to OnMessage, and
// how long a small message takes there and back.

#include <benchmark/benchmark.h>

#include "net/testing_session.h"

namespace weft::net {
namespace {

using testing::HubInbox;
using testing::Inbox;
using testing::MustPop;
using testing::Wire;

// Arguments: wire, payload MiB, chunk KiB.
void Payload(benchmark::State& state) {
  const auto wire = static_cast<Wire>(state.range(0));
  const size_t bytes = static_cast<size_t>(state.range(1)) << 20;
  const SessionOptions session{.chunk_bytes = static_cast<size_t>(state.range(2)) << 10};
  HubInbox hub_inbox;
  const auto hub = testing::StartHub(wire, &hub_inbox, {.session = session});
  Inbox inbox;
  const auto connection = testing::Connect(wire, hub.get(), &inbox, {.session = session});
  const cluster::Payload payload = testing::PatternPayload(bytes);
  for (auto _ : state) {
    CHECK(connection->Send(testing::Bulk(payload)).ok());
    MustPop(&hub_inbox.messages);
  }
  state.SetLabel(wire == Wire::kTcp ? "tcp" : "in process");
  state.counters["MiB/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * state.range(1)), benchmark::Counter::kIsRate);
}
BENCHMARK(Payload)
    ->ArgsProduct({{0, 1}, {64}, {128, 256, 512}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void RoundTrip(benchmark::State& state) {
  const auto wire = static_cast<Wire>(state.range(0));
  HubInbox hub_inbox;
  const auto hub = testing::StartHub(wire, &hub_inbox);
  Inbox inbox;
  const auto connection = testing::Connect(wire, hub.get(), &inbox);
  for (auto _ : state) {
    CHECK(connection->Send(testing::Control(1)).ok());
    const uint64_t number = MustPop(&hub_inbox.messages).connection;
    CHECK(hub->Send(number, testing::Control(2)).ok());
    MustPop(&inbox.messages);
  }
  state.SetLabel(wire == Wire::kTcp ? "tcp" : "in process");
}
BENCHMARK(RoundTrip)->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weft::net
