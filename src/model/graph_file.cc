// Reading a Graph from a document: the form of model files and presets.

#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "model/embedded.h"
#include "model/graph.h"

namespace weft::model {
namespace {

using base::Doc;
using base::Fields;

const std::map<std::string, LayerType>& TypesByName() {
  static const auto* const types = [] {
    auto* made = new std::map<std::string, LayerType>;
    for (int i = static_cast<int>(LayerType::kConv); i <= static_cast<int>(LayerType::kDropout);
         ++i) {
      const auto type = static_cast<LayerType>(i);
      made->emplace(LayerTypeName(type), type);
    }
    return made;
  }();
  return *types;
}

// One integer for both axes, or [height, width].
void GetPair(Fields* fields, const char* key, int64_t least, int64_t* height, int64_t* width) {
  const Doc* value = fields->Take(key);
  if (value == nullptr) return;
  const auto good = [least](const Doc& doc) {
    return doc.kind == Doc::Kind::kInt && doc.integer >= least && doc.integer <= 1 << 20;
  };
  if (good(*value)) {
    *height = *width = value->integer;
  } else if (value->kind == Doc::Kind::kArray && value->array.size() == 2 &&
             good(value->array[0]) && good(value->array[1])) {
    *height = value->array[0].integer;
    *width = value->array[1].integer;
  } else if (value->kind == Doc::Kind::kInt) {
    fields->Fail(key, fmt::format("got {}, want at least {}", value->integer, least));
  } else {
    fields->Fail(key, fmt::format("got {}, want an integer or [height, width], at least {}",
                                  base::KindName(value->kind), least));
  }
}

void ReadWindow(Fields* fields, bool pooling, Layer* layer) {
  GetPair(fields, "kernel", 1, &layer->kernel_height, &layer->kernel_width);
  if (layer->kernel_height == 0)
    fields->Fail("kernel", "is missing, want an integer of at least 1");
  if (pooling) {
    layer->stride_height = layer->kernel_height;
    layer->stride_width = layer->kernel_width;
  }
  GetPair(fields, "stride", 1, &layer->stride_height, &layer->stride_width);
  GetPair(fields, "pad", 0, &layer->pad_height, &layer->pad_width);
}

// `out` of a linear layer: an integer, or "classes".
void ReadLinearOut(Fields* fields, int64_t classes, Layer* layer) {
  const Doc* value = fields->Take("out");
  if (value != nullptr && value->kind == Doc::Kind::kString && value->text == "classes") {
    layer->out = classes;
  } else if (value != nullptr && value->kind == Doc::Kind::kString) {
    fields->Fail("out", fmt::format("got \"{}\", want an integer or \"classes\"", value->text));
  } else {
    fields->Get("out", &layer->out, {.min = 1, .max = 1 << 24, .required = true});
  }
}

void ReadTypeFields(Fields* fields, int64_t classes, Layer* layer) {
  constexpr double kMost = 1 << 24;
  switch (layer->type) {
    case LayerType::kConv:
      fields->Get("out", &layer->out, {.min = 1, .max = kMost, .required = true});
      fields->Get("groups", &layer->groups, {.min = 1, .max = kMost});
      fields->Get("bias", &layer->bias);
      ReadWindow(fields, false, layer);
      break;
    case LayerType::kLinear:
      ReadLinearOut(fields, classes, layer);
      fields->Get("bias", &layer->bias);
      break;
    case LayerType::kBatchnorm:
      fields->Get("eps", &layer->eps, {.min = 1e-12, .max = 1});
      fields->Get("momentum", &layer->momentum, {.min = 0, .max = 1});
      break;
    case LayerType::kLeakyRelu:
      fields->Get("slope", &layer->slope, {.min = 0, .max = 1});
      break;
    case LayerType::kMaxpool:
    case LayerType::kAvgpool:
      ReadWindow(fields, true, layer);
      break;
    case LayerType::kDropout:
      fields->Get("rate", &layer->rate, {.min = 0, .max = 0.99});
      break;
    case LayerType::kInput:
    case LayerType::kRelu:
    case LayerType::kGlobalAvgpool:
    case LayerType::kAdd:
    case LayerType::kFlatten:
      break;
  }
}

// Names of the layers so far, and where each stands; "input" is 0.
struct Names {
  std::map<std::string, int> index{{"input", 0}};
  std::map<std::string, int> counters;

  Result<int> Find(const std::string& name) const {
    if (const auto found = index.find(name); found != index.end()) return found->second;
    std::vector<std::string> known;
    for (const auto& [key, value] : index) known.push_back(key);
    const auto nearest = base::DidYouMean(name, known);
    return InvalidArgument(
        fmt::format("no earlier layer is named \"{}\"{}", name,
                    nearest ? fmt::format("; did you mean \"{}\"?", *nearest) : ""));
  }
};

Result<Layer> ReadLayer(const Doc& doc, int number, int64_t classes, const std::string& file,
                        Names* names) {
  Layer layer;
  layer.line = doc.line;
  const Doc* given = doc.Find("name");
  const std::string where = given != nullptr && given->kind == Doc::Kind::kString
                                ? fmt::format("layer \"{}\"", given->text)
                                : fmt::format("layer {}", number);
  Fields fields(&doc, where, file);
  std::vector<std::string> types;
  for (const auto& [name, type] : TypesByName()) types.push_back(name);
  std::string type;
  fields.GetChoice("type", &type, types);
  if (type.empty()) fields.Fail("type", "is missing, want " + base::JoinChoices(types));
  const auto found = TypesByName().find(type);
  if (found == TypesByName().end()) return fields.Finish();
  layer.type = found->second;
  layer.name = type + std::to_string(++names->counters[type]);
  fields.Get("name", &layer.name);
  if (names->index.count(layer.name) > 0) {
    fields.Fail("name", fmt::format("\"{}\" stands twice, want a name of its own", layer.name));
  }
  std::vector<std::string> inputs;
  if (layer.type == LayerType::kAdd) {
    fields.Get("inputs", &inputs);
  } else {
    std::string from;
    fields.Get("from", &from);
    if (!from.empty()) inputs.push_back(from);
  }
  if (inputs.empty()) layer.inputs.push_back(number - 1);
  for (const std::string& input : inputs) {
    Result<int> at = names->Find(input);
    if (at.ok()) {
      layer.inputs.push_back(*at);
    } else {
      fields.Fail(layer.type == LayerType::kAdd ? "inputs" : "from", at.status().message());
    }
  }
  ReadTypeFields(&fields, classes, &layer);
  RETURN_IF_ERROR(fields.Finish());
  names->index[layer.name] = number;
  return layer;
}

}  // namespace

Result<Graph> GraphFromDoc(const Doc& doc, const std::string& file, const GraphContext& context) {
  Fields fields(&doc, "", file);
  std::string name = "model";
  fields.Get("name", &name);
  std::vector<int64_t> input(context.input.dims().begin(), context.input.dims().end());
  fields.Get("input", &input, {.min = 1, .max = 1 << 20});
  if (input.empty()) fields.Fail("input", "is missing, want [channels, height, width]");
  if (input.size() > Shape::kMaxRank) fields.Fail("input", "got too many extents, want 3");
  int64_t classes = context.classes;
  fields.Get("classes", &classes, {.min = 2, .max = 1 << 20, .required = context.classes == 0});
  const Doc* list = fields.Take("layers");
  if (list == nullptr || list->kind != Doc::Kind::kArray) {
    fields.Fail("layers", "got no list of layers, want [[layers]] tables");
  }
  RETURN_IF_ERROR(fields.Finish());

  Names names;
  std::vector<Layer> layers;
  for (const Doc& item : list->array) {
    ASSIGN_OR_RETURN(Layer layer,
                     ReadLayer(item, static_cast<int>(layers.size()) + 1, classes, file, &names));
    layers.push_back(std::move(layer));
  }
  ASSIGN_OR_RETURN(Graph graph, Graph::Build(name, Shape(input), classes, std::move(layers), file));
  if (context.input.rank() > 0 && !(graph.input() == context.input)) {
    return InvalidArgument(fmt::format("{}: input: got {}, but the data has samples of {}", file,
                                       graph.input().ToString(), context.input.ToString()));
  }
  if (context.classes > 0 && graph.classes() != context.classes) {
    return InvalidArgument(fmt::format("{}: classes: got {}, but the data has {}", file,
                                       graph.classes(), context.classes));
  }
  return graph;
}

Result<Graph> LoadGraph(const std::string& path, const GraphContext& context) {
  ASSIGN_OR_RETURN(Doc doc, base::LoadDoc(path));
  return GraphFromDoc(doc, path, context);
}

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : EmbeddedFiles()) names.emplace_back(file.name);
  return names;
}

Result<std::string> PresetText(const std::string& name) {
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (file.name == name) return std::string(file.text);
  }
  const std::vector<std::string> names = PresetNames();
  const auto nearest = base::DidYouMean(name, names);
  return InvalidArgument(
      fmt::format("preset: got \"{}\", want {}{}", name, base::JoinChoices(names),
                  nearest ? fmt::format(" (did you mean \"{}\"?)", *nearest) : ""));
}

Result<Graph> LoadPreset(const std::string& name, const GraphContext& context) {
  ASSIGN_OR_RETURN(const std::string text, PresetText(name));
  const std::string file = "preset " + name;
  ASSIGN_OR_RETURN(Doc doc, base::ParseToml(text, file));
  // A preset's own input and classes are defaults: the data decides.
  if (context.input.rank() > 0) {
    Doc* input = doc.FindOrAdd("input");
    input->array.clear();
    for (const int64_t extent : context.input.dims()) {
      input->array.push_back(
          {.kind = Doc::Kind::kInt, .integer = extent, .number = static_cast<double>(extent)});
    }
  }
  if (context.classes > 0) doc.FindOrAdd("classes")->integer = context.classes;
  return GraphFromDoc(doc, file, context);
}

}  // namespace weft::model
