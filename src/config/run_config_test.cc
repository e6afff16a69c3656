#include "config/run_config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/doc.h"
#include "base/file_system.h"
#include "base/test_folder.h"
#include "codec/codec.h"

namespace weft::config {
namespace {

Result<RunConfig> Read(std::string_view toml) {
  auto doc = base::ParseToml(toml, "job.toml");
  if (!doc.ok()) return doc.status();
  return FromDoc(*doc, {.file = "job.toml", .folder = "/jobs"});
}

constexpr std::string_view kSmall = R"([job]
epochs = 2
batch = 64
[model]
preset = "lenet5"
[data]
train = "synthetic:shapes?n=100"
)";

// kSmall with `more` after it.
std::string With(std::string_view more) { return std::string(kSmall) + std::string(more); }

std::string ErrorOf(std::string_view toml) {
  const auto config = Read(toml);
  return config.ok() ? "ok" : config.status().message();
}

TEST(RunConfig, FillsInDefaults) {
  const auto config = Read(kSmall);
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->job.name, "job");
  EXPECT_EQ(config->job.seed, 1);
  EXPECT_EQ(config->job.eval_every, 1);
  EXPECT_EQ(config->model.preset, "lenet5");
  EXPECT_EQ(config->data.test, "");
  EXPECT_TRUE(config->data.normalise.on);
  EXPECT_EQ(config->optimizer.name, "sgd");
  EXPECT_EQ(config->optimizer.lr, 0.01);
  EXPECT_EQ(config->cluster.workers, 1);
  EXPECT_EQ(config->link.codec, "dense");
}

TEST(RunConfig, ReadsEveryKey) {
  const auto config = Read(R"([job]
name = "all-keys_1.0"
seed = 7
epochs = 3
batch = 128
deterministic = false
eval_every = 2
target_accuracy = 0.9
out = "somewhere"
checkpoint_every = 50
[model]
file = "net.toml"
init = "/abs/w.safetensors"
[data]
train = "idx:mnist"
test = "idx:/abs/mnist"
normalise = {mean = [0.5, 1], std = [0.25, 2]}
crop_pad = 4
flip = true
time_shift = 5
time_mask = 6
noise = 0.25
limit = 1000
test_limit = 10
placement = "local"
partition = "dirichlet:0.3"
[optimizer]
name = "sgd"
lr = 0.5
momentum = 0.9
nesterov = true
weight_decay = 5e-4
schedule = "step"
warmup_steps = 5
step_epochs = [1, 2]
step_factor = 0.2
[cluster]
workers = 4
aggregation = "buffered"
combine = "trimmed-mean"
trim = 0.2
quorum = 1
over_selection = 0
max_staleness = 7
staleness_exponent = 1
delay_compensation = 0
buffer = 3
local_steps = 4
outer_lr = 1
outer_momentum = 0.5
leaders = 0
site_sums = "never"
share_by_speed = false
threads = 2
heartbeat_ms = 100
device_timeout_ms = 1000
kernels = "reference"
[link]
codec = "fp16"
down_codec = "dense"
)");
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  RunConfig want;
  want.job = {"all-keys_1.0", 7, 3, 128, false, 2, 0.9, "somewhere", 50};
  want.model = {"", "/jobs/net.toml", "/abs/w.safetensors"};
  want.data = {"idx:/jobs/mnist",
               "idx:/abs/mnist",
               {true, {0.5, 1}, {0.25, 2}},
               4,
               true,
               5,
               6,
               0.25,
               1000,
               10,
               "local",
               "dirichlet:0.3"};
  want.optimizer.lr = 0.5;
  want.optimizer.momentum = 0.9;
  want.optimizer.nesterov = true;
  want.optimizer.weight_decay = 5e-4;
  want.optimizer.schedule = "step";
  want.optimizer.warmup_steps = 5;
  want.optimizer.step_epochs = {1, 2};
  want.optimizer.step_factor = 0.2;
  want.cluster = {4, "buffered", {}, 2, 100, 1000, "reference", "trimmed-mean", 0.2,  1, 0, 7,
                  1, 0,          3,  4, 1,   0.5,  0,           "never",        false};
  want.link = {"fp16", "dense"};
  EXPECT_EQ(*config, want) << config->ToJson();
}

TEST(RunConfig, LearningRateDefaultsByName) {
  EXPECT_EQ(Read(With("[optimizer]\nname = \"adamw\"\n"))->optimizer.lr, 0.001);
  EXPECT_EQ(ErrorOf(With("[optimizer]\nlr = 0\n")),
            "job.toml:9: optimizer.lr: got 0, want a number above 0");
}

TEST(RunConfig, JsonGivesTheSameConfigBack) {
  for (const std::string& more :
       {std::string(), std::string("normalise = false\n"),
        std::string("normalise = {mean = [0.1], std = [0.3]}\ntest = \"idx:d\"\n"
                    "[optimizer]\nname = \"adamw\"\nschedule = \"cosine\"\nmin_lr = 1e-5\n"),
        std::string("[cluster]\nworkers = 2\nshares = [63, 1]\n"),
        std::string("placement = \"local\"\npartition = \"classes:2\"\n[cluster]\n"
                    "aggregation = \"ssp\"\nmax_staleness = 3\ndelay_compensation = 0.1\n")}) {
    const auto config = Read(With(more));
    ASSERT_TRUE(config.ok()) << config.status().ToString();
    const auto again = FromJson(config->ToJson(), "run.json");
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_EQ(*again, *config);
    EXPECT_EQ(again->ToJson(), config->ToJson());
    EXPECT_EQ(again->Digest(), config->Digest());
  }
}

TEST(RunConfig, JsonIsAsWritten) {
  EXPECT_EQ(
      Read(kSmall)->ToJson(),
      R"({"job":{"name":"job","seed":1,"epochs":2,"batch":64,"deterministic":false,"eval_every":1,)"
      R"("target_accuracy":0.0,"checkpoint_every":0},"model":{"preset":"lenet5"},)"
      R"("data":{"train":"synthetic:shapes?n=100","normalise":true,"crop_pad":0,"flip":false,"time_shift":0,"time_mask":0,"noise":0.0,)"
      R"("limit":0,"test_limit":0,"placement":"shared","partition":"iid"},"optimizer":{"name":"sgd","lr":0.01,"momentum":0.0,)"
      R"("nesterov":false,"weight_decay":0.0,"beta1":0.9,"beta2":0.999,"eps":1e-08,)"
      R"("schedule":"constant","warmup_steps":0,"step_factor":0.1,"min_lr":0.0},)"
      R"("cluster":{"workers":1,"aggregation":"sync","combine":"mean","trim":0.1,"quorum":1.0,)"
      R"("over_selection":0.0,"max_staleness":0,"staleness_exponent":0.5,"delay_compensation":0.0,)"
      R"("buffer":0,"local_steps":1,"outer_lr":0.7,"outer_momentum":0.9,"leaders":1,)"
      R"("site_sums":"auto","share_by_speed":true,"threads":0,"heartbeat_ms":500,)"
      R"("device_timeout_ms":5000,"kernels":"auto"},"link":{"codec":"dense","down_codec":"dense",)"
      R"("density":0.0,"down_density":0.0,"rank":0,"warmup_steps":0,)"
      R"("flush_updates":0,"clip":0.0,"budget":0.1,"most_local_steps":16},)"
      R"("cut":{"memory_budget":0}})");
}

TEST(RunConfig, DigestChangesWithAnyKey) {
  const std::string digest = Read(kSmall)->Digest();
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_NE(Read(With("flip = true\n"))->Digest(), digest);
  EXPECT_NE(Read(With("[link]\ncodec = \"fp16\"\n"))->Digest(), digest);
}

struct BadJob {
  const char* more;  // after kSmall; the first line of it is line 8
  const char* error;
};

void PrintTo(const BadJob& job, std::ostream* out) { *out << job.error; }

class BadJobs : public testing::TestWithParam<BadJob> {};

TEST_P(BadJobs, NameFieldGotAndWanted) {
  EXPECT_EQ(ErrorOf(With(GetParam().more)), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Keys, BadJobs,
    testing::Values(
        BadJob{"lable = 1\n",
               "job.toml:8: data.lable: unknown key; known here: crop_pad, flip, limit, noise, "
               "normalise, partition, placement, test, test_limit, time_mask, time_shift or train"},
        BadJob{"tests = 1\n", "job.toml:8: data.tests: unknown key; did you mean \"test\"?"},
        BadJob{"[optimiser]\nlr = 1\n",
               "job.toml:8: optimiser: unknown key; did you mean \"optimizer\"?"},
        BadJob{"test = 3\n", "job.toml:8: data.test: got an integer, want a string"},
        BadJob{"flip = 1\n", "job.toml:8: data.flip: got an integer, want true or false"},
        BadJob{"limit = 1.5\n", "job.toml:8: data.limit: got a number, want an integer"},
        BadJob{"crop_pad = -1\n", "job.toml:8: data.crop_pad: got -1, want 0..1024"},
        BadJob{"[optimizer]\nlr = \"fast\"\n",
               "job.toml:9: optimizer.lr: got a string, want a number"},
        BadJob{"[optimizer]\nname = \"sgdd\"\n",
               "job.toml:9: optimizer.name: got \"sgdd\", want sgd or adamw (did you mean "
               "\"sgd\"?)"},
        BadJob{"[cluster]\nshares = [1, \"x\"]\n",
               "job.toml:9: cluster.shares: got a string in the array, want integers"},
        BadJob{"[[cluster]]\nworkers = 1\n", "job.toml:8: cluster: got an array, want a table"}));

INSTANTIATE_TEST_SUITE_P(
    Normalise, BadJobs,
    testing::Values(
        BadJob{"normalise = 1\n",
               "job.toml:8: data.normalise: got an integer, want true, false or {mean = [..], std "
               "= [..]}"},
        BadJob{"normalise = {mean = [1]}\n",
               "job.toml:8: data.normalise: got no std, want {mean = [..], std = [..]}"},
        BadJob{"normalise = {mean = [1], std = [1, 2]}\n",
               "job.toml:8: data.normalise: got 1 means and 2 deviations, want one of each a "
               "channel"},
        BadJob{"normalise = {mean = [1], std = [0]}\n",
               "job.toml:8: data.normalise: got std 0, want it above 0"},
        BadJob{"normalise = {mean = [1e300], std = [1]}\n",
               "job.toml:8: data.normalise: got 1e+300 in mean, want finite numbers"},
        BadJob{"normalise = {mean = [1], std = [1], var = 1}\n",
               "job.toml:8: data.normalise: unknown key \"var\"; known here: mean or std"}));

INSTANTIATE_TEST_SUITE_P(
    Links, BadJobs,
    testing::Values(
        BadJob{"[link]\ndensity = 0.5\n",
               "job.toml:9: link.density: is read by codec = \"chunk-topk\", \"dgc\" and \"auto\" "
               "only, got codec = \"dense\""},
        BadJob{"[link]\ndown_codec = \"int8\"\ndown_values = \"fp16\"\n",
               "job.toml:10: link.down_values: is read by down_codec = \"chunk-topk\", \"dgc\" and "
               "\"powersgd\" only, got down_codec = \"int8\""},
        BadJob{"[link]\nrank = 2\n",
               "job.toml:9: link.rank: is read by codec = \"powersgd\" only, got \"dense\""},
        BadJob{"[link]\nbudget = 0.2\n",
               "job.toml:9: link.budget: is read by codec = \"auto\" only, got \"dense\""},
        BadJob{"[link]\nclip = 1\n[cluster]\nlocal_steps = 4\n",
               "job.toml:9: link.clip: got 1 with cluster.local_steps = 4, whose updates are no "
               "gradients; want it left out"}));

INSTANTIATE_TEST_SUITE_P(
    NotBuiltYet, BadJobs,
    testing::Values(
        BadJob{"[cut]\nspace = 2\n",
               "job.toml:9: cut.space: not built yet: got 2, want it left out"},
        BadJob{"[cut]\nmemory_budget = \"200 mb\"\n",
               "job.toml:9: cut.memory_budget: got \"200 mb\", want bytes such as \"200 MiB\", "
               "\"1.5 GB\" or 4096"},
        BadJob{"[cut]\nmemory_budget = [1]\n",
               "job.toml:9: cut.memory_budget: got \"\", want bytes such as \"200 MiB\", \"1.5 "
               "GB\" or 4096"},
        BadJob{"[device.pi]\nspeed = 2\n", "job.toml:8: device: not built yet: want it left out"}));

INSTANTIATE_TEST_SUITE_P(
    AcrossFields, BadJobs,
    testing::Values(
        BadJob{"test_limit = 5\n",
               "job.toml:8: data.test_limit: got a limit without test data, want data.test to be "
               "set"},
        BadJob{"[optimizer]\nnesterov = true\n",
               "job.toml:9: optimizer.nesterov: got true without momentum, want momentum above 0"},
        BadJob{"[optimizer]\nbeta1 = 0.8\n",
               "job.toml:9: optimizer.beta1: is read by adamw only, got name = \"sgd\""},
        BadJob{"[optimizer]\nname = \"adamw\"\nmomentum = 0.9\n",
               "job.toml:10: optimizer.momentum: is read by sgd only, got name = \"adamw\""},
        BadJob{"[optimizer]\nmomentum = 1\n",
               "job.toml:9: optimizer.momentum: got 1, want a number below 1"},
        BadJob{"[optimizer]\nname = \"adamw\"\neps = 0\n",
               "job.toml:10: optimizer.eps: got 0, want a number above 0"},
        BadJob{"[optimizer]\nschedule = \"step\"\n",
               "job.toml:8: optimizer.step_epochs: is missing, want the epochs at which the rate "
               "drops, such as [30, 60]"},
        BadJob{"[optimizer]\nstep_epochs = [1]\n",
               "job.toml:9: optimizer.step_epochs: is read by schedule = \"step\" only, got "
               "\"constant\""},
        BadJob{"[optimizer]\nschedule = \"step\"\nstep_epochs = [5, 3]\n",
               "job.toml:10: optimizer.step_epochs: got 3 after 5, want rising epochs"},
        BadJob{"[optimizer]\nmin_lr = 0.001\n",
               "job.toml:9: optimizer.min_lr: is read by schedule = \"cosine\" only, got "
               "\"constant\""},
        BadJob{"[optimizer]\nschedule = \"cosine\"\nmin_lr = 0.5\n",
               "job.toml:10: optimizer.min_lr: got 0.5, want at most lr = 0.01"},
        BadJob{"[cluster]\nworkers = 65\n",
               "job.toml:3: job.batch: got 64, want at least one sample for each of the 65 "
               "workers"},
        BadJob{"[cluster]\nworkers = 2\nshares = [64]\n",
               "job.toml:10: cluster.shares: got 1 shares, want one for each of the 2 workers"},
        BadJob{"[cluster]\nworkers = 2\nshares = [32, 31]\n",
               "job.toml:10: cluster.shares: got a sum of 63, want job.batch = 64"},
        BadJob{"[cluster]\nheartbeat_ms = 600\ndevice_timeout_ms = 1000\n",
               "job.toml:10: cluster.device_timeout_ms: got 1000, want at least two heartbeats "
               "(1200 ms)"}));

TEST(RunConfig, MissingKeys) {
  EXPECT_EQ(ErrorOf(""), "job.toml: job.epochs: is missing, want an integer");
  EXPECT_EQ(ErrorOf("[job]\nepochs = 1\nbatch = 1\n"),
            "job.toml: data.train: is missing, want a string");
  EXPECT_EQ(ErrorOf("[job]\nepochs = 1\nbatch = 1\n[data]\ntrain = \"idx:a\"\n"),
            "job.toml: model.preset: is missing, want preset = \"...\" or file = \"...\"");
  EXPECT_EQ(ErrorOf("[job]\nepochs = 1\nbatch = 1\n[data]\ntrain = \"idx:a\"\n[model]\n"
                    "preset = \"a\"\nfile = \"b\"\n"),
            "job.toml:8: model.file: got a file and a preset, want one of them");
}

TEST(RunConfig, JobProblems) {
  const std::string rest =
      "epochs = 1\nbatch = 1\n[data]\ntrain = \"idx:a\"\n[model]\npreset = \"a\"\n";
  EXPECT_EQ(ErrorOf("[job]\nname = \"a/b\"\n" + rest),
            "job.toml:2: job.name: got \"a/b\", want 1 to 64 letters, digits, '-', '_' or '.', not "
            "starting with '.'");
  EXPECT_EQ(ErrorOf("[job]\ntarget_accuracy = 0.5\n" + rest),
            "job.toml:2: job.target_accuracy: got 0.5 without test data, want data.test to be set");
  EXPECT_EQ(ErrorOf("[job]\ntarget_accuracy = 1.5\n" + rest),
            "job.toml:2: job.target_accuracy: got 1.5, want 0..1");
}

TEST(RunConfig, ReadsJsonJobs) {
  const auto config =
      FromJson(R"({"job": {"epochs": 2, "batch": 64}, "model": {"preset": "lenet5"},)"
               R"( "data": {"train": "synthetic:shapes?n=100"}})",
               "job.json");
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(*config, *Read(kSmall));
  EXPECT_EQ(FromJson(R"({"job": {"epochs": 0}})", "job.json").status().message(),
            "job.json: job.epochs: got 0, want 1..1000000");
}

TEST(RunConfig, RefusesMalformedDocuments) {
  EXPECT_EQ(Read("[job]\nepochs = = 2\n").status().message().substr(0, 31),
            "job.toml:2:10: not valid TOML: ");
  for (const char* text : {"[[[job]]]", "{\"job\": {}}", "[[=", "[job]\ngröße = 1\n"}) {
    EXPECT_EQ(Read(text).status().code(), Code::kInvalidArgument) << text;
  }
  EXPECT_EQ(FromJson(std::string(100000, '['), "job.json").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(FromJson(R"({"job": {"seed": 18446744073709551615}})", "job.json").status().message(),
            "job.json: job.seed: got a number, want an integer");
}

class LoadedJob : public testing::Test {
 protected:
  LoadedJob() {
    std::filesystem::create_directories(folder_);
    EXPECT_TRUE(base::LocalFileSystem()
                    .WriteFileAtomic(path_, base::AsBytes(With("test = \"idx:../data/x\"\n")))
                    .ok());
  }

  const base::TestFolder temp_;
  const std::string folder_ = temp_ / "job";
  const std::string path_ = folder_ + "/small.toml";
};

TEST_F(LoadedJob, PathsStartAtTheJobsFolder) {
  const auto config = Load(path_, {});
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  const auto parent = std::filesystem::canonical(folder_).parent_path();
  EXPECT_EQ(config->data.test, "idx:" + (parent / "data/x").string());
  EXPECT_EQ(config->data.train, "synthetic:shapes?n=100");
  EXPECT_EQ(config->job.name, "small");
}

TEST_F(LoadedJob, OverridesWin) {
  const std::vector<std::string> overrides = {"cluster.workers=4", "cluster.workers=8",
                                              "job.name=quick", "data.test=idx:here",
                                              "optimizer.lr=1e-2"};
  const auto config = Load(path_, overrides);
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->cluster.workers, 8);
  EXPECT_EQ(config->job.name, "quick");
  EXPECT_EQ(config->optimizer.lr, 0.01);
  EXPECT_EQ(config->data.test, "idx:" + (std::filesystem::canonical(folder_) / "here").string());
}

TEST_F(LoadedJob, BadOverrides) {
  const auto error = [&](const std::string& assignment) {
    const std::vector<std::string> overrides = {assignment};
    return Load(path_, overrides).status().message();
  };
  EXPECT_EQ(error("workers"), "--set: got \"workers\", want section.key=value");
  EXPECT_EQ(error("cluster.worker=2"),
            "--set: cluster.worker: unknown key; did you mean \"workers\"?");
  EXPECT_EQ(error("cluster.workers=many"), "--set: cluster.workers: got a string, want an integer");
}

TEST(RunConfig, TakesEveryCodecThereIs) {
  for (const std::string& codec : codec::CodecNames()) {
    EXPECT_EQ(ErrorOf(With("[link]\ncodec = \"" + codec + "\"\ndown_codec = \"" + codec + "\"\n")),
              "ok");
  }
}

// Those that leave nothing out.
TEST(RunConfig, OfADeterministicJobTakesExactCodecs) {
  const auto error = [](const std::string& link) {
    std::string toml = With("[link]\n" + link);
    toml.insert(toml.find("[job]\n") + 6, "deterministic = true\n");
    return ErrorOf(toml);
  };
  const std::string up = "codec = \"chunk-topk\"\ndensity = 1\n";
  const std::string down = "down_codec = \"dgc\"\ndown_values = \"fp32\"\n";
  EXPECT_EQ(error(up + "values = \"fp32\"\n" + down + "down_density = 1\n"), "ok");
  EXPECT_NE(error(up).find("link.codec: got \"chunk-topk\""), std::string::npos) << error(up);
  EXPECT_NE(error(down).find("link.down_codec: got \"dgc\""), std::string::npos) << error(down);
}

TEST(RunConfig, MissingFile) {
  const auto config = Load("/nowhere/job.toml", {});
  EXPECT_EQ(config.status().code(), Code::kNotFound);
  EXPECT_EQ(config.status().message(), "/nowhere/job.toml: cannot open: No such file or directory");
}

TEST(RunConfig, ExamplesAreGood) {
  for (const std::string name : {"demo", "fashion-mnist", "cifar10"}) {
    const auto config = Load(std::string(WEFT_SOURCE_DIR) + "/examples/" + name + ".toml", {});
    ASSERT_TRUE(config.ok()) << config.status().ToString();
    EXPECT_EQ(config->job.name, name);
  }
}

// To rewrite the page: WEFT_WRITE_GOLDENS=1 build/release/bin/config_test.
TEST(JobReference, PageIsTrue) {
  const std::string path = std::string(WEFT_SOURCE_DIR) + "/docs/job.md";
  if (std::getenv("WEFT_WRITE_GOLDENS") != nullptr) {
    ASSERT_TRUE(base::LocalFileSystem().WriteFileAtomic(path, base::AsBytes(JobReference())).ok());
  }
  const auto page = base::LocalFileSystem().ReadFile(path);
  ASSERT_TRUE(page.ok()) << page.status().ToString();
  EXPECT_EQ(base::AsText(*page), JobReference());
}

}  // namespace
}  // namespace weft::config
