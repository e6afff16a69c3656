#pragma once
// For the tests of this room: picks what is wanted out of the actions of a state machine.

#include <string>
#include <vector>

#include "cluster/action.h"

namespace weft::cluster::testing {

// All messages of one kind, in order.
template <class Kind>
std::vector<Kind> Sent(const Actions& actions) {
  std::vector<Kind> found;
  for (const Action& action : actions) {
    const Message* message = nullptr;
    if (const auto* send = std::get_if<Send>(&action)) message = &send->message;
    if (const auto* reply = std::get_if<Reply>(&action)) message = &reply->message;
    if (message == nullptr) continue;
    if (const auto* kind = std::get_if<Kind>(message)) found.push_back(*kind);
  }
  return found;
}

// All actions of one kind, in order.
template <class Kind>
std::vector<Kind> Asked(const Actions& actions) {
  std::vector<Kind> found;
  for (const Action& action : actions) {
    if (const auto* kind = std::get_if<Kind>(&action)) found.push_back(*kind);
  }
  return found;
}

// All events of one kind, in order.
template <class Kind>
std::vector<Kind> Emitted(const Actions& actions) {
  std::vector<Kind> found;
  for (const Emit& emit : Asked<Emit>(actions)) {
    if (const auto* kind = std::get_if<Kind>(&emit.event)) found.push_back(*kind);
  }
  return found;
}

}  // namespace weft::cluster::testing
