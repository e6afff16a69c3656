#include "app/confusion.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"

namespace weft::app {
namespace {

std::optional<double> Share(int64_t part, int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Confusion::Confusion(int64_t classes, std::vector<std::string> names)
    : names_(std::move(names)), counts_(static_cast<size_t>(classes * classes)) {
  for (int64_t i = std::ssize(names_); i < classes; ++i) names_.push_back(std::to_string(i));
  CHECK_EQ(std::ssize(names_), classes);
}

size_t Confusion::Place(int64_t label, int64_t predicted) const {
  DCHECK(label >= 0 && label < classes() && predicted >= 0 && predicted < classes());
  return static_cast<size_t>(label * classes() + predicted);
}

int64_t Confusion::samples(int64_t label) const {
  int64_t sum = 0;
  for (int64_t i = 0; i < classes(); ++i) sum += count(label, i);
  return sum;
}

int64_t Confusion::predictions(int64_t label) const {
  int64_t sum = 0;
  for (int64_t i = 0; i < classes(); ++i) sum += count(i, label);
  return sum;
}

std::optional<double> Confusion::Recall(int64_t label) const {
  return Share(count(label, label), samples(label));
}

std::optional<double> Confusion::Precision(int64_t label) const {
  return Share(count(label, label), predictions(label));
}

nlohmann::ordered_json ToJson(const Confusion& confusion) {
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  nlohmann::ordered_json counts = nlohmann::ordered_json::array();
  for (int64_t label = 0; label < confusion.classes(); ++label) {
    names.push_back(confusion.name(label));
    nlohmann::ordered_json row = nlohmann::ordered_json::array();
    for (int64_t i = 0; i < confusion.classes(); ++i) row.push_back(confusion.count(label, i));
    counts.push_back(std::move(row));
  }
  return {{"classes", std::move(names)}, {"counts", std::move(counts)}};
}

}  // namespace weft::app
