#include "kernel/onednn_op.h"

#include <omp.h>

#include "kernel/backend.h"

namespace weft::kernel {

namespace {

class BoundPrimitive : public Kernel {
 public:
  BoundPrimitive(const OnednnPlan& plan, const std::vector<OnednnArgument>& arguments,
                 std::span<void* const> args, void* scratch)
      : primitive_(plan.primitive), stream_(Engine()), threads_(plan.threads) {
    UseThreads(threads_);
    // The library writes the zero padding of a memory here, when its address is given.
    for (size_t i = 0; i < arguments.size(); ++i) {
      memories_.emplace_back(arguments[i].desc, Engine(), args[i]);
      exec_args_.push_back({arguments[i].index, memories_.back().get()});
      if (arguments[i].also != 0) exec_args_.push_back({arguments[i].also, memories_.back().get()});
    }
    if (plan.scratchpad.get_size() > 0) {
      memories_.emplace_back(plan.scratchpad, Engine(), scratch);
      exec_args_.push_back({DNNL_ARG_SCRATCHPAD, memories_.back().get()});
    }
  }

  // On the CPU the stream runs in order in the calling thread: nothing to wait for.
  void Run() override {
    UseThreads(threads_);
    const dnnl_status_t status = dnnl_primitive_execute(
        primitive_.get(), stream_.get(), static_cast<int>(exec_args_.size()), exec_args_.data());
    CHECK_EQ(status, dnnl_success);
  }

 private:
  dnnl::primitive primitive_;
  dnnl::stream stream_;
  int threads_;
  std::vector<memory> memories_;
  std::vector<dnnl_exec_arg_t> exec_args_;
};

class OnednnOp : public Op {
 public:
  OnednnOp(const OnednnPlan& plan, std::vector<Port> ports, std::vector<OnednnArgument> arguments)
      : plan_(plan), arguments_(std::move(arguments)) {
    CHECK_EQ(ports.size(), arguments_.size());
    for (size_t i = 0; i < ports.size(); ++i) {
      CHECK_EQ(ports[i].bytes, arguments_[i].desc.get_size()) << ports[i].name;
    }
    ports_ = std::move(ports);
    scratch_bytes_ = plan_.scratchpad.get_size();
    implementation_ = "onednn:" + plan_.implementation;
  }

  std::unique_ptr<Kernel> Bind(std::span<void* const> args, void* scratch) const override {
    CHECK_EQ(args.size(), ports_.size());
    return std::make_unique<BoundPrimitive>(plan_, arguments_, args, scratch);
  }

 private:
  OnednnPlan plan_;
  std::vector<OnednnArgument> arguments_;
};

}  // namespace

Backend::OpResult MakeOnednnOp(const OnednnPlan& plan, std::vector<Port> ports,
                               std::vector<OnednnArgument> arguments) {
  if (IsSlow(plan.implementation)) {
    return base::Unimplemented("onednn: " + ports.back().name + ": only the slow " +
                               plan.implementation);
  }
  return std::unique_ptr<Op>(
      std::make_unique<OnednnOp>(plan, std::move(ports), std::move(arguments)));
}

const dnnl::engine& Engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::primitive_attr Attributes(Activation activation, float slope) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (activation != Activation::kNone) {
    dnnl::post_ops post_ops;
    const float alpha = activation == Activation::kRelu ? 0.0f : slope;
    post_ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, alpha, 0.0f);
    attributes.set_post_ops(post_ops);
  }
  return attributes;
}

void UseThreads(int threads) {
  if (omp_get_max_threads() != threads) omp_set_num_threads(threads);
}

bool IsSlow(const std::string& implementation) { return implementation.starts_with("ref"); }

bool IsDirect(const std::string& implementation) {
  return implementation.find("gemm") == std::string::npos && !IsSlow(implementation);
}

std::string OnednnVersion() {
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

}  // namespace weft::kernel
