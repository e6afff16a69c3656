#include "net/transfer_timer.h"

namespace weft::net {

std::optional<Transfer> TransferTimer::Add(const v1::Frame& frame, TimePoint now) {
  if (frame.payload_bytes() > 0) {
    message_ = frame.message();
    promised_ = frame.payload_bytes();
    passed_ = timed_from_ = 0;
  } else if (message_ == 0 || frame.message() != message_) {
    return std::nullopt;
  }
  passed_ += frame.data().size();
  if (passed_ < promised_) {
    if (timed_from_ == 0 && passed_ >= promised_ / 5 * 2) {
      timed_from_ = passed_;
      started_ = now;
    }
    return std::nullopt;
  }
  message_ = 0;
  if (timed_from_ == 0) return std::nullopt;
  return Transfer{.up = up_,
                  .bytes = static_cast<int64_t>(passed_ - timed_from_),
                  .seconds = base::Seconds(now - started_)};
}

}  // namespace weft::net
