#include "data/batches.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/rng.h"
#include "base/worker_thread.h"

namespace weft::data {
namespace {

// One announced range and, later, its batch. Shared by the queue and the task that fills it, so
// that either may go first.
struct Announced {
  enum class Stage { kWaiting, kPosted, kReading, kReady, kDropped };
  BatchRange range;
  Stage stage = Stage::kWaiting;
  Batch batch;
};

}  // namespace

void ReadBatch(const Dataset& dataset, const SampleOrder& order, const BatchRange& range,
               Batch* batch) {
  CHECK(order.size() <= dataset.size())
      << "an order of " << order.size() << " samples for " << dataset.size();
  const std::vector<int64_t> indices = order.Indices(range);
  const auto elements = static_cast<size_t>(dataset.sample_shape().elements());
  const size_t count = indices.size();
  batch->size = range.count;
  batch->samples.resize(count * elements);
  batch->labels.resize(count);
  batch->keys.resize(count);
  const ReadContext context{.seed = order.seed(), .epoch = range.epoch};
  const uint64_t epoch_seed = base::DeriveSeed(order.seed(), static_cast<uint64_t>(range.epoch));
  for (size_t i = 0; i < count; ++i) {
    batch->labels[i] = dataset.Read(indices[i], context,
                                    std::span(batch->samples).subspan(i * elements, elements));
    batch->keys[i] = base::DeriveSeed(epoch_seed, static_cast<uint64_t>(indices[i]));
  }
}

class BatchReader::State {
 public:
  State(const Dataset* dataset, const Options& options) : dataset_(*dataset), options_(options) {
    CHECK(options.depth > 0) << "depth is 0";
  }

  void Prefetch(const BatchRange& range) {
    const std::lock_guard lock(mutex_);
    announced_.push_back(std::make_shared<Announced>());
    announced_.back()->range = range;
    PostMore();
  }

  Batch Get(const BatchRange& range) {
    std::unique_lock lock(mutex_);
    const auto found = std::find_if(announced_.begin(), announced_.end(),
                                    [&](const auto& entry) { return entry->range == range; });
    if (found == announced_.end()) {
      Batch batch = TakeSpare();
      lock.unlock();
      ReadBatch(dataset_, options_.order, range, &batch);
      return batch;
    }
    const std::shared_ptr<Announced> wanted = *found;
    std::for_each(announced_.begin(), found,
                  [](const auto& entry) { entry->stage = Announced::Stage::kDropped; });
    announced_.erase(announced_.begin(), found);
    PostMore();  // now that `wanted` is first, it is among those read ahead
    ready_.wait(lock, [&] { return wanted->stage == Announced::Stage::kReady; });
    announced_.pop_front();
    PostMore();
    return std::move(wanted->batch);
  }

  void Drop(const std::function<bool(const BatchRange&)>& unwanted) {
    std::unique_lock lock(mutex_);
    std::vector<std::shared_ptr<Announced>> dropped;
    std::erase_if(announced_, [&](const auto& entry) {
      if (!unwanted(entry->range)) return false;
      dropped.push_back(entry);
      return true;
    });
    for (const auto& entry : dropped) {
      if (entry->stage != Announced::Stage::kReading) entry->stage = Announced::Stage::kDropped;
    }
    PostMore();
    ready_.wait(lock, [&] {
      return std::ranges::none_of(
          dropped, [](const auto& entry) { return entry->stage == Announced::Stage::kReading; });
    });
  }

  void Recycle(Batch batch) {
    const std::lock_guard lock(mutex_);
    if (spare_.size() <= options_.depth) spare_.push_back(std::move(batch));
  }

 private:
  // Hands the first `depth` announced ranges to the thread. Under the mutex.
  void PostMore() {
    const size_t ahead = std::min(options_.depth, announced_.size());
    for (size_t i = 0; i < ahead; ++i) {
      if (announced_[i]->stage != Announced::Stage::kWaiting) continue;
      announced_[i]->stage = Announced::Stage::kPosted;
      thread_.Post([this, entry = announced_[i]] { Fill(*entry); });
    }
  }

  // A batch whose memory may be written over. Under the mutex.
  Batch TakeSpare() {
    if (spare_.empty()) return {};
    Batch batch = std::move(spare_.back());
    spare_.pop_back();
    return batch;
  }

  // On the thread.
  void Fill(Announced& entry) {
    {
      const std::lock_guard lock(mutex_);
      if (entry.stage == Announced::Stage::kDropped) return;
      entry.stage = Announced::Stage::kReading;
      entry.batch = TakeSpare();
    }
    ReadBatch(dataset_, options_.order, entry.range, &entry.batch);
    const std::lock_guard lock(mutex_);
    entry.stage = Announced::Stage::kReady;  // of no consequence if it was dropped meanwhile
    ready_.notify_one();
  }

  const Dataset& dataset_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::shared_ptr<Announced>> announced_;
  std::vector<Batch> spare_;
  base::WorkerThread thread_;  // last: its tasks use all of the above
};

BatchReader::BatchReader(const Dataset* dataset, const Options& options)
    : state_(std::make_unique<State>(dataset, options)) {}
BatchReader::~BatchReader() = default;
void BatchReader::Prefetch(const BatchRange& range) { state_->Prefetch(range); }
Batch BatchReader::Get(const BatchRange& range) { return state_->Get(range); }
void BatchReader::Drop(const std::function<bool(const BatchRange&)>& unwanted) {
  state_->Drop(unwanted);
}
void BatchReader::Recycle(Batch batch) { state_->Recycle(std::move(batch)); }

}  // namespace weft::data
