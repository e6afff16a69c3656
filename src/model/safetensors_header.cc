#include "model/safetensors_header.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

namespace weft::model {
namespace {

using Json = nlohmann::json;

// Follows the events of the JSON parser, so that nothing is built that the format does not have: no
// deep nesting, no second tree in memory. A handler that returns false ends the parse.
class HeaderReader : public Json::json_sax_t {
 public:
  Header header;
  std::string problem;

  bool start_object(size_t) override {
    if (place_ == Place::kStart) return Go(Place::kTop);
    if (place_ == Place::kTop) {
      if (key_ == "__metadata__") return Go(Place::kMetadata);
      fields_.clear();
      header.entries.push_back({.name = key_, .dtype = "", .dims = {}, .offsets = {}});
      return Go(Place::kEntry);
    }
    return Unexpected("an object");
  }

  bool key(std::string& text) override {
    key_ = text;
    if (place_ == Place::kTop) {
      if (text.empty()) return Refuse("a tensor without a name");
      if (!names_.insert(text).second) return Refuse(fmt::format("\"{}\" stands twice", text));
    } else if (place_ == Place::kMetadata) {
      if (header.metadata.count(text) > 0) {
        return Refuse(fmt::format("metadata \"{}\" stands twice", text));
      }
    } else if (!fields_.insert(text).second) {
      return Refuse(fmt::format("\"{}\": \"{}\" stands twice", Name(), text));
    } else if (text != "dtype" && text != "shape" && text != "data_offsets") {
      return Refuse(
          fmt::format("\"{}\": got key \"{}\", want dtype, shape or data_offsets", Name(), text));
    }
    return true;
  }

  bool string(std::string& text) override {
    if (place_ == Place::kMetadata) {
      header.metadata[key_] = text;
      return true;
    }
    if (place_ != Place::kEntry || key_ != "dtype") return Unexpected("a string");
    header.entries.back().dtype = text;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::kEntry || key_ == "dtype") return Unexpected("an array");
    return Go(key_ == "shape" ? Place::kShape : Place::kOffsets);
  }

  bool number_unsigned(Json::number_unsigned_t value) override {
    if (place_ == Place::kShape) {
      header.entries.back().dims.push_back(value);
    } else if (place_ == Place::kOffsets) {
      header.entries.back().offsets.push_back(value);
    } else {
      return Unexpected("a number");
    }
    return true;
  }

  bool end_array() override { return Go(Place::kEntry); }

  bool end_object() override {
    if (place_ == Place::kTop) return Go(Place::kEnd);
    if (place_ == Place::kEntry) {
      for (const char* field : {"dtype", "shape", "data_offsets"}) {
        if (fields_.count(field) == 0) {
          return Refuse(fmt::format("\"{}\": {} is missing", Name(), field));
        }
      }
      if (header.entries.back().offsets.size() != 2) {
        return Refuse(fmt::format("\"{}\": data_offsets: got {} numbers, want 2", Name(),
                                  header.entries.back().offsets.size()));
      }
    }
    return Go(Place::kTop);
  }

  bool number_integer(Json::number_integer_t) override { return Unexpected("a negative number"); }
  bool number_float(Json::number_float_t, const std::string&) override {
    return Unexpected("a number that is no whole one below 2^64");
  }
  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("true or false"); }
  bool binary(Json::binary_t&) override { return Unexpected("binary data"); }

  bool parse_error(size_t at, const std::string&, const Json::exception&) override {
    return Refuse(fmt::format("not valid JSON at byte {}", at));
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kEntry, kShape, kOffsets, kEnd };

  bool Go(Place place) {
    place_ = place;
    return true;
  }
  bool Refuse(std::string why) {
    if (problem.empty()) problem = std::move(why);
    return false;
  }
  bool Unexpected(const char* got) {
    if (place_ == Place::kStart) return Refuse(fmt::format("got {}, want an object", got));
    return Refuse(fmt::format("got {} at \"{}\", where none belongs", got, key_));
  }
  const std::string& Name() const { return header.entries.back().name; }

  Place place_ = Place::kStart;
  std::string key_;               // the last one read
  std::set<std::string> names_;   // at the top
  std::set<std::string> fields_;  // of the entry being read
};

}  // namespace

Result<Header> ParseTensorHeader(ByteView json) {
  HeaderReader reader;
  bool parsed = false;
  try {
    parsed = Json::sax_parse(json.begin(), json.end(), &reader);
  } catch (const Json::exception& error) {
    reader.problem = error.what();
  }
  if (!parsed) return base::DataLoss("header: " + reader.problem);
  return std::move(reader.header);
}

}  // namespace weft::model
