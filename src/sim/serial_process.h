#pragma once
// SerialProcess: a process with one processor for what comes in: one thing is handled after
// another, each for so long.

#include <deque>
#include <functional>
#include <utility>

#include "sim/process.h"

namespace weft::sim {

class SerialProcess : public Process {
 protected:
  using Process::Process;

  // Calls `handle` once all that came before is done, `seconds` after its turn has come.
  void Enqueue(double seconds, std::function<void()> handle);
  // The handler takes so much longer, and what it sends from now on leaves then. Outside of one:
  // nothing.
  void Spend(double seconds) {
    if (handling_) spent_ += seconds;
  }
  // Runs `run` after what the handler has spent so far.
  void AfterSpent(const std::function<void()>& run);

 private:
  struct Work {
    double seconds = 0;
    std::function<void()> handle;
  };
  void Serve();
  // What it has spent.
  Duration Handle(const std::function<void()>& handle);

  std::deque<Work> inbox_;
  bool busy_ = false;
  bool handling_ = false;
  double spent_ = 0;  // beside Work::seconds, by what is being handled
};

}  // namespace weft::sim
