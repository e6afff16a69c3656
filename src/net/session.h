#pragma once
// Session: one end of a Session call, what hub and connection do alike: messages queued and written
// as frames, frames read and put together again, and the end. `Reactor` is gRPC's ServerBidiReactor
// or ClientBidiReactor, whose operations have the same names.
//
//   open --Close--> draining --queues empty--> ended
//     \---Drop, peer gone, bad frame (queues dropped)---> draining --write in flight done--> ended

#include <mutex>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "cluster/message.h"
#include "net/options.h"
#include "net/reassembler.h"
#include "net/sender.h"
#include "net/transfer_timer.h"
#include "proto/weft.pb.h"

namespace weft::net {

// Threads: Send, Close and Drop any; the rest is called by gRPC. gRPC starts reactions on threads
// of its own and never from within an operation that we start, so operations are started with the
// lock held.
template <class Reactor>
class Session : public Reactor {
 public:
  explicit Session(const SessionOptions& options) : sender_(options), reassembler_(options) {}

  // Queues a message. Errors: as Sender::Enqueue; kUnavailable once the session ends.
  Status Send(const cluster::Envelope& envelope) {
    const std::lock_guard lock(mutex_);
    if (state_ != State::kOpen) return base::Unavailable("the connection is closed");
    RETURN_IF_ERROR(sender_.Enqueue(envelope));
    Pump();
    return OkStatus();
  }

  // Ends the session once all that was queued is written. `reason` is what the peer hears where it
  // can hear it.
  void Close(Status reason) {
    const std::lock_guard lock(mutex_);
    if (state_ != State::kOpen) return;
    reason_ = std::move(reason);
    state_ = State::kDraining;
    Pump();
  }

  // Ends the session at once, even if the peer has stopped reading.
  void Drop(Status reason) {
    const std::lock_guard lock(mutex_);
    // Ended but not done: what ends the call waits behind bytes that the peer does not take.
    Cancel(writing_ || state_ == State::kEnded);
    End(std::move(reason));
  }

 protected:
  // A message has come. Called without the lock, in order, one at a time.
  virtual void Deliver(cluster::Envelope envelope) = 0;
  // A frame has come, and more of its message is to come. Called as Deliver.
  virtual void NotePart() {}
  // Part of a payload has passed. Called without the lock; one at a time for each direction.
  virtual void NoteTransfer(const Transfer& /*transfer*/) {}
  // A frame has passed, of so many bytes. Called without the lock; one at a time for each
  // direction.
  virtual void NoteFrame(bool /*up*/, uint64_t /*bytes*/) {}
  // The session ends early: dropped, or the peer's frames are not what they should be. `stuck`:
  // something is under way that may never end by itself. Lock held.
  virtual void Cancel(bool stuck) = 0;
  // Nothing is written any more: ends the call. `healthy`: both directions still worked. Lock held;
  // called once.
  virtual void EndCall(bool healthy) = 0;
  // Whether a read may follow EndCall. Lock held.
  virtual bool ReadsAfterEnd() const = 0;

  void ReadFirst() { this->StartRead(&read_frame_); }

  std::mutex mutex_;
  // Why we ended the session; ok if we did not, or had no complaint.
  Status reason_;

 private:
  enum class State { kOpen, kDraining, kEnded };
  // Of a frame on the wire, beside what protobuf makes of it: gRPC's prefix of a message and the
  // head of an HTTP/2 DATA frame.
  static constexpr uint64_t kFrameHeaderBytes = 5 + 9;

  void OnReadDone(bool ok) final {
    if (!ok) {
      const std::lock_guard lock(mutex_);
      return End(OkStatus());
    }
    NoteFrame(false, read_frame_.ByteSizeLong() + kFrameHeaderBytes);
    if (const auto transfer = down_timer_.Add(read_frame_, base::SystemClock().Now())) {
      NoteTransfer(*transfer);
    }
    Result<std::optional<cluster::Envelope>> message = reassembler_.Add(read_frame_);
    if (message.ok()) message->has_value() ? Deliver(**std::move(message)) : NotePart();
    const std::lock_guard lock(mutex_);
    if (!message.ok()) {
      Cancel(/*stuck=*/false);
      return End(message.status());
    }
    if (state_ != State::kEnded || ReadsAfterEnd()) this->StartRead(&read_frame_);
  }

  void OnWriteDone(bool ok) final {
    // Nobody else touches the frame while writing_.
    const TimePoint now = base::SystemClock().Now();
    const auto transfer = up_timer_.Add(write_frame_, now);
    if (ok && transfer) NoteTransfer(*transfer);
    if (ok) NoteFrame(true, write_frame_.ByteSizeLong() + kFrameHeaderBytes);
    const std::lock_guard lock(mutex_);
    sender_.NoteWrite(write_frame_.data().size(), base::Seconds(now - write_began_));
    writing_ = false;
    ok ? Pump() : End(OkStatus());
  }

  // Ends without sending what waits. The first reason stays.
  void End(Status reason) {
    healthy_ = false;
    sender_.Clear();
    if (state_ == State::kOpen) reason_ = std::move(reason);
    if (state_ != State::kEnded) state_ = State::kDraining;
    Pump();
  }

  // Writes the next frame, if none is under way.
  void Pump() {
    if (writing_ || state_ == State::kEnded) return;
    if (sender_.Next(&write_frame_)) {
      writing_ = true;
      write_began_ = base::SystemClock().Now();
      this->StartWrite(&write_frame_);
    } else if (state_ == State::kDraining) {
      state_ = State::kEnded;
      EndCall(healthy_);
    }
  }

  State state_ = State::kOpen;
  bool writing_ = false;
  TimePoint write_began_;
  bool healthy_ = true;
  Sender sender_;
  v1::Frame write_frame_;                   // gRPC's while writing_
  v1::Frame read_frame_;                    // gRPC's but in OnReadDone
  Reassembler reassembler_;                 // only OnReadDone, never two at a time
  TransferTimer down_timer_{/*up=*/false};  // likewise
  TransferTimer up_timer_{/*up=*/true};     // only OnWriteDone, likewise
};

}  // namespace weft::net
