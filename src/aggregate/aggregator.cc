#include "aggregate/aggregator.h"

#include "aggregate/strategies.h"
#include "base/check.h"

namespace weft::aggregate {

std::unique_ptr<Aggregator> MakeAggregator(const AggregatorOptions& options) {
  CHECK(options.count >= 0 && options.statistics >= 0 && options.statistics <= options.count);
  switch (options.combine) {
    case Combine::kMean:
      return MakeMean(options);
    case Combine::kMedian:
    case Combine::kTrimmedMean:
      return MakeRobust(options);
  }
  CHECK(false) << "no such rule";
  return nullptr;
}

}  // namespace weft::aggregate
