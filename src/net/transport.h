#pragma once
// What weft decides about gRPC itself, in one place: credentials, limits, compression, reconnects,
// its log, its status codes. Only the .cc files of this room include it.

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/status.h>

#include <memory>

#include "base/status.h"

namespace weft::net {

// Neither side proves who it is yet: whoever listens must see to it that only friends can reach the
// port. Mutual TLS will be chosen here, for both sides.
std::shared_ptr<grpc::ServerCredentials> ServerSideCredentials();
std::shared_ptr<grpc::ChannelCredentials> ClientSideCredentials();

// Metadata by which a hub says that it has accepted a Session; refusals come without it.
inline constexpr char kAcceptedKey[] = "weft-session";
inline constexpr char kAcceptedValue[] = "1";

void ConfigureServer(grpc::ServerBuilder* builder);
grpc::ChannelArguments ClientArguments();

// What gRPC and protobuf say themselves becomes debug messages of base/log.h: what matters in it
// reaches the user as a Status, and a peer that sends nonsense does not fill our stderr.
void RouteLibraryLogs();

grpc::Status ToGrpc(const Status& status);
Status FromGrpc(const grpc::Status& status);

}  // namespace weft::net
