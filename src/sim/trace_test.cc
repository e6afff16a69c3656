#include "sim/trace.h"

#include <gtest/gtest.h>

#include <set>

namespace weft::sim {
namespace {

using cluster::Address;
using cluster::Envelope;
using cluster::Lease;
using cluster::Role;

Envelope From(cluster::DeviceId device, cluster::Message message) {
  return {{device, Role::kWorker}, {0, Role::kLeader}, std::move(message)};
}

TEST(Trace, DigestTellsMessagesApart) {
  cluster::Push push;
  push.sequence = 1;
  cluster::Push next = push;
  next.sequence = 2;
  cluster::Push other_lease = push;
  other_lease.lease.id = 9;
  Envelope elsewhere = From(1, push);
  elsewhere.to.role = Role::kCoordinator;
  const std::set<uint64_t> digests = {
      DigestOf(From(1, push)),
      DigestOf(From(2, push)),
      DigestOf(From(1, next)),
      DigestOf(From(1, other_lease)),
      DigestOf(elsewhere),
      DigestOf(From(1, cluster::Pull{.version = 1})),
      DigestOf(From(1, cluster::Pull{.version = 2})),
      DigestOf(From(1, cluster::Heartbeat{.term = 1})),
      DigestOf(From(1, cluster::Finished{.term = 1})),
      DigestOf(From(1, cluster::BeginStep{.leases = {Lease{.id = 1}}})),
      DigestOf(From(1, cluster::BeginStep{.leases = {Lease{.id = 1}, Lease{.id = 2}}})),
  };
  EXPECT_EQ(digests.size(), 11U);
}

TEST(Trace, DigestLeavesOutFloats) {
  EXPECT_EQ(DigestOf(From(1, cluster::Heartbeat{.term = 1, .loss = 0.5})),
            DigestOf(From(1, cluster::Heartbeat{.term = 1, .loss = 0.25})));
}

TEST(Trace, AMessageChangesTheHashByItsRoute) {
  const auto hash = [](uint64_t route) {
    Loop loop(1);
    TraceMessage(&loop, route, From(1, cluster::Bye{}));
    return loop.trace_hash();
  };
  EXPECT_EQ(hash(1), hash(1));
  EXPECT_NE(hash(1), hash(2));
}

}  // namespace
}  // namespace weft::sim
