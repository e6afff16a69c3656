#include "net/version.h"

#include <grpcpp/grpcpp.h>

namespace weft::net {

std::string GrpcVersion() { return grpc::Version(); }

}  // namespace weft::net
