#include "cluster/send_order.h"

namespace weft::cluster {

SendOrder SendOrderOf(const Message& message) {
  using Kind = SendOrder::Kind;
  if (const auto* push = std::get_if<Push>(&message)) return {Kind::kUpdate, push->range.begin};
  if (const auto* joint = std::get_if<JointPush>(&message)) {
    return {Kind::kUpdate, joint->range.begin};
  }
  if (const auto* replicate = std::get_if<Replicate>(&message)) {
    return {Kind::kUpdate, replicate->range.begin};
  }
  if (const auto* parameters = std::get_if<Parameters>(&message)) {
    return {Kind::kParameters, parameters->range.begin};
  }
  return {};
}

bool Overtakes(const SendOrder& later, const SendOrder& earlier) {
  if (earlier.kind != SendOrder::Kind::kParameters) return false;
  if (later.kind == SendOrder::Kind::kUpdate) return true;
  return later.kind == SendOrder::Kind::kParameters && later.begin < earlier.begin;
}

}  // namespace weft::cluster
