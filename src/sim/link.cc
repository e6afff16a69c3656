#include "sim/link.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace weft::sim {

Duration Server::TimeFor(int64_t bytes) const {
  return Duration(static_cast<int64_t>(static_cast<double>(bytes) * ns_per_byte_));
}

TimePoint Server::Pass(TimePoint now, int64_t bytes, int64_t most_ahead) {
  if (small_end_ <= now) {
    small_end_ = now;
    if (busy_) {
      const double ahead = static_cast<double>(most_ahead) * usual_;
      small_end_ = std::min(end_, now + Duration(static_cast<int64_t>(ahead)));
    }
  }
  const Duration takes = TimeFor(bytes);
  small_end_ = small_end_ + takes;
  if (busy_) end_ = end_ + takes;
  return small_end_;
}

std::optional<Ticket> Server::Next() {
  if (busy_ || queue_.empty()) return std::nullopt;
  const Ticket next = queue_.front();
  queue_.pop_front();
  return next;
}

Duration Server::Begin(TimePoint now, Ticket ticket, int64_t bytes) {
  const TimePoint begin = std::max(now, small_end_);
  busy_ = true;
  current_ = ticket;
  end_ = begin + TimeFor(bytes + std::exchange(owed_, 0));
  return end_ - now;
}

Ticket Server::End() {
  CHECK(busy_) << "nothing is in service";
  busy_ = false;
  if (queue_.empty()) owed_ = 0;
  return current_;
}

void Server::ChangeRate(TimePoint now, double bits_per_second) {
  const double before = std::exchange(ns_per_byte_, Cost(bits_per_second));
  if (!busy_ || end_ <= now) return;
  const double left = static_cast<double>((end_ - now).count());
  // What was begun without limit passes now.
  end_ = before > 0 ? now + Duration(static_cast<int64_t>(left * ns_per_byte_ / before)) : now;
}

Link::Link(const LinkOptions& options) : options_(options) {
  servers_[true].SetRate(options.up_bps);
  servers_[false].SetRate(options.down_bps);
}

void Link::Clog(TimePoint now, double factor) {
  const auto rate = [&](double bps) {
    if (factor == 1) return bps;
    return factor * (bps > 0 ? bps : kClogged);
  };
  servers_[true].ChangeRate(now, rate(options_.up_bps));
  servers_[false].ChangeRate(now, rate(options_.down_bps));
}

}  // namespace weft::sim
