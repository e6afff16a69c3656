#pragma once
// The strategies of aggregator.h, one function a file; MakeAggregator is the list.

#include <memory>

#include "aggregate/aggregator.h"

namespace weft::aggregate {

std::unique_ptr<Aggregator> MakeMean(const AggregatorOptions& options);
// Source: Yin et al. 2018, Byzantine-Robust Distributed Learning, definitions 1 and 2.
std::unique_ptr<Aggregator> MakeRobust(const AggregatorOptions& options);

}  // namespace weft::aggregate
