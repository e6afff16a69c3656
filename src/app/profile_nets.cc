#include "app/profile_nets.h"

#include <fmt/format.h>

#include <utility>

namespace weft::app {
namespace {

// Writes a model file layer by layer.
class Net {
 public:
  Net(std::string name, const std::string& input, std::vector<int64_t> batches) {
    net_.text = fmt::format("name = \"{}\"\ninput = {}\nclasses = 10\nlayers = [\n", name, input);
    net_.name = std::move(name);
    net_.batches = std::move(batches);
  }

  Net& Layer(const std::string& fields) {
    net_.text += fmt::format("  {{{}}},\n", fields);
    return *this;
  }
  Net& Conv(int out, int kernel, int stride = 1) {
    return Layer(fmt::format("type = \"conv\", out = {}, kernel = {}, stride = {}, pad = {}", out,
                             kernel, stride, kernel / 2));
  }
  // Convolution and relu, as one op.
  Net& ConvRelu(int out, int kernel, int stride = 1) { return Conv(out, kernel, stride).Relu(); }
  // Convolution, batchnorm, relu.
  Net& ConvNorm(int out, int kernel, int stride = 1) {
    return BareConv(out, kernel, stride).Norm();
  }
  Net& DepthwiseNorm(int channels, int stride = 1) {
    return Layer(fmt::format("type = \"conv\", out = {0}, kernel = 3, stride = {1}, pad = 1, "
                             "groups = {0}, bias = false",
                             channels, stride))
        .Norm();
  }
  // A residual block (He et al. 2016, figure 2) whose first convolution halves the image.
  Net& Halve(const std::string& block, int out) {
    const std::string from = fmt::format(", from = \"{}\"", last_);
    Layer(Named("a", block, out, 3, 2) + from).Norm();
    Layer(Named("b", block, out, 3, 1));
    Layer(fmt::format("type = \"batchnorm\", name = \"{}_long\"", block));
    Layer(Named("c", block, out, 1, 2) + from);
    Layer(fmt::format("type = \"batchnorm\", name = \"{}_short\"", block));
    Layer(fmt::format("type = \"add\", inputs = [\"{0}_long\", \"{0}_short\"]", block));
    return NamedRelu();
  }
  Net& Pool(int kernel = 2) {
    return Layer(fmt::format("type = \"maxpool\", kernel = {}", kernel));
  }
  Net& Relu() { return Layer("type = \"relu\""); }
  Net& LinearRelu(int out) { return Layer(fmt::format("type = \"linear\", out = {}", out)).Relu(); }
  ProfileNet End() {
    Layer("type = \"linear\", out = \"classes\"");
    net_.text += "]\n";
    return std::move(net_);
  }

 private:
  static std::string Named(const char* part, const std::string& block, int out, int kernel,
                           int stride) {
    return fmt::format(
        "type = \"conv\", name = \"{}_{}\", out = {}, kernel = {}, stride = {}, "
        "pad = {}, bias = false",
        block, part, out, kernel, stride, kernel / 2);
  }
  Net& BareConv(int out, int kernel, int stride) {
    return Layer(
        fmt::format("type = \"conv\", out = {}, kernel = {}, stride = {}, pad = {}, "
                    "bias = false",
                    out, kernel, stride, kernel / 2));
  }
  Net& Norm() { return Layer("type = \"batchnorm\"").NamedRelu(); }
  Net& NamedRelu() {
    last_ = fmt::format("end_{}", ++blocks_);
    return Layer(fmt::format("type = \"relu\", name = \"{}\"", last_));
  }

  ProfileNet net_;
  std::string last_;  // where the next residual block begins
  int blocks_ = 0;
};

const char kGlobalPool[] = "type = \"global_avgpool\"";
const char kAveragePool[] = "type = \"avgpool\", kernel = 2";
const char kDropout[] = "type = \"dropout\", rate = 0.3";
const char kLeaky[] = "type = \"leaky_relu\", slope = 0.1";

ProfileNet LeakyNet(std::string name, const std::string& input, std::vector<int64_t> batches,
                    const std::vector<std::pair<int, int>>& convs) {
  Net net(std::move(name), input, std::move(batches));
  for (const auto& [out, kernel] : convs) {
    if (out == 0) {
      net.Pool();
      continue;
    }
    net.Layer(fmt::format("type = \"conv\", out = {}, kernel = {}, pad = {}, bias = false", out,
                          kernel, kernel / 2));
    net.Layer("type = \"batchnorm\"").Layer(kLeaky);
  }
  return net.Layer(kGlobalPool).End();
}

}  // namespace

std::vector<ProfileNet> ProfileNets() {
  std::vector<ProfileNet> nets;
  // 5x5 kernels on few channels, one channel in, and layers of a few features.
  nets.push_back(Net("small", "[1, 28, 28]", {4, 16, 64})
                     .ConvRelu(8, 5)
                     .Pool()
                     .ConvRelu(16, 5)
                     .Layer(kAveragePool)
                     .LinearRelu(128)
                     .Layer(kDropout)
                     .LinearRelu(64)
                     .End());
  nets.push_back(Net("features", "[1, 1, 512]", {4, 8, 16, 32, 128})
                     .LinearRelu(512)
                     .LinearRelu(256)
                     .LinearRelu(256)
                     .LinearRelu(128)
                     .End());
  nets.push_back(Net("separable", "[1, 40, 16]", {8, 64})
                     .ConvNorm(64, 7, 2)
                     .DepthwiseNorm(64)
                     .ConvNorm(64, 1)
                     .DepthwiseNorm(64, 2)
                     .ConvNorm(128, 1)
                     .Layer(kGlobalPool)
                     .End());
  nets.push_back(Net("narrow plain", "[3, 32, 32]", {8, 32})
                     .ConvRelu(16, 3)
                     .Pool()
                     .ConvRelu(32, 3)
                     .Pool()
                     .ConvRelu(64, 3)
                     .LinearRelu(128)
                     .End());
  nets.push_back(Net("narrow residual", "[3, 32, 32]", {8, 64})
                     .ConvNorm(16, 3)
                     .ConvNorm(16, 3)
                     .Halve("first", 32)
                     .Halve("second", 64)
                     .Layer(kGlobalPool)
                     .End());
  nets.push_back(Net("wide features", "[1, 1, 1024]", {8, 32, 128})
                     .LinearRelu(4096)
                     .LinearRelu(4096)
                     .Layer(kDropout)
                     .End());
  nets.push_back(Net("small images", "[3, 32, 32]", {8, 32, 64})
                     .ConvRelu(64, 3, 2)
                     .Pool()
                     .ConvRelu(192, 3)
                     .Pool()
                     .ConvRelu(256, 3)
                     .ConvRelu(384, 3)
                     .Pool()
                     .LinearRelu(1024)
                     .End());
  nets.push_back(Net("plain", "[3, 32, 32]", {8, 32})
                     .ConvRelu(64, 3)
                     .Pool()
                     .ConvRelu(128, 3)
                     .Pool()
                     .ConvRelu(256, 3)
                     .ConvRelu(256, 3)
                     .Pool()
                     .ConvRelu(512, 3)
                     .ConvRelu(512, 3)
                     .Pool()
                     .ConvRelu(512, 3)
                     .LinearRelu(512)
                     .End());
  nets.push_back(Net("residual", "[3, 32, 32]", {8, 32})
                     .ConvNorm(64, 3)
                     .ConvNorm(64, 3)
                     .Halve("first", 128)
                     .Halve("second", 256)
                     .Halve("third", 512)
                     .Layer(kGlobalPool)
                     .End());
  nets.push_back(LeakyNet("large images", "[3, 224, 224]", {1, 4},
                          {{32, 3},
                           {0, 0},
                           {64, 3},
                           {0, 0},
                           {128, 3},
                           {64, 1},
                           {0, 0},
                           {256, 3},
                           {128, 1},
                           {0, 0},
                           {512, 3},
                           {256, 1}}));
  return nets;
}

}  // namespace weft::app
