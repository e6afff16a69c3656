#pragma once
// Confusion: how often each class of the test data was taken for each.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace weft::app {

// Above this many classes nobody reads the table, and none is made.
inline constexpr int64_t kMostConfusionClasses = 100;

class Confusion {
 public:
  // `names`: of the classes, in order; those that have none bear their numbers.
  explicit Confusion(int64_t classes, std::vector<std::string> names = {});

  void Add(int64_t label, int64_t predicted) { ++counts_[Place(label, predicted)]; }

  int64_t classes() const { return static_cast<int64_t>(names_.size()); }
  const std::string& name(int64_t label) const { return names_[static_cast<size_t>(label)]; }
  int64_t count(int64_t label, int64_t predicted) const { return counts_[Place(label, predicted)]; }
  int64_t samples(int64_t label) const;      // of a class
  int64_t predictions(int64_t label) const;  // that said so
  // The share of a class that was found, and of the predictions of it that were right; nothing if
  // there were none.
  std::optional<double> Recall(int64_t label) const;
  std::optional<double> Precision(int64_t label) const;

 private:
  size_t Place(int64_t label, int64_t predicted) const;

  std::vector<std::string> names_;
  std::vector<int64_t> counts_;  // (label, predicted)
};

// {"classes": [name..], "counts": [[..]..]}, a row a true class.
nlohmann::ordered_json ToJson(const Confusion& confusion);

}  // namespace weft::app
