#include "app/run_folder.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "base/test_folder.h"
#include "base/text.h"

namespace weft::app {
namespace {

constexpr char kStart[] = "2026-01-31T12:00:00Z";

RunRecord Record() {
  RunRecord record;
  record.run = "demo-1";
  record.program = "weft 0.1.0";
  record.config.job.name = "demo";
  record.config.job.epochs = 2;
  record.config.job.batch = 8;
  record.config.model.preset = "lenet5";
  record.config.data.train = "synthetic:shapes";
  record.config.optimizer.lr = 0.5;
  record.libraries = {{"oneDNN", "2.6"}};
  record.started = {kStart};
  return record;
}

class RunFolderTest : public testing::Test {
 protected:
  RunFolderTest() {
    base::SetLogSink(
        [this](base::LogLevel, std::string_view message) { messages_.emplace_back(message); });
  }
  ~RunFolderTest() override { base::SetLogSink({}); }

  std::string Text(const std::string& name) {
    return std::string(base::AsText(base::LocalFileSystem().ReadFile(path_ + "/" + name).value()));
  }
  nlohmann::ordered_json Json() { return nlohmann::ordered_json::parse(Text("run.json")); }
  RunFolder Create() { return RunFolder::Create(disk_.get(), path_, Record()).value(); }

  const base::TestFolder temp_;
  const std::string path_ = temp_ / "run";
  std::vector<std::string> messages_;
  base::DiskFaults faults_;
  std::unique_ptr<base::FileSystem> disk_ =
      base::MakeFaultyFileSystem(&base::LocalFileSystem(), &faults_);
};

TEST_F(RunFolderTest, RecordHoldsWhatTheRunIs) {
  Create();
  const auto json = Json();
  EXPECT_EQ(json["run"], "demo-1");
  EXPECT_EQ(json["program"], "weft 0.1.0");
  EXPECT_EQ(json["seed"], 1);
  EXPECT_EQ(json["config"].dump(), Record().config.ToJson());
  EXPECT_EQ(json["config_digest"], Record().config.Digest());
  EXPECT_EQ(json["libraries"]["oneDNN"], "2.6");
  EXPECT_EQ(json["started"][0], kStart);
  EXPECT_TRUE(json["result"].is_null());
}

TEST_F(RunFolderTest, RefusesAFolderWithARun) {
  Create();
  const auto again = RunFolder::Create(disk_.get(), path_, Record());
  EXPECT_EQ(again.status().code(), Code::kAlreadyExists);
  EXPECT_EQ(again.status().message(), path_ + ": holds a run already; continue it with --resume " +
                                          path_ + ", or choose another folder with --out");
}

TEST_F(RunFolderTest, OpenGoesOn) {
  RunFolder first = Create();
  first.Add(cluster::DeviceJoined{1, "mini", false}, 0);
  first.SetDigest("weights", "abc");
  auto second = RunFolder::Open(disk_.get(), path_, "2026-01-31T13:00:00Z");
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->record().config, Record().config);
  EXPECT_EQ(second->record().devices, std::vector<std::string>{"mini"});
  EXPECT_EQ(second->record().digests.at("weights"), "abc");
  EXPECT_EQ(Json()["started"].size(), 2u);
  EXPECT_EQ(Json()["started"][1], "2026-01-31T13:00:00Z");
}

TEST_F(RunFolderTest, OpenSaysWhatIsWrong) {
  EXPECT_EQ(RunFolder::Open(disk_.get(), path_, kStart).status().code(), Code::kNotFound);
  Create();
  const auto overwrite = [&](std::string_view text) {
    ASSERT_TRUE(
        base::LocalFileSystem().WriteFileAtomic(path_ + "/run.json", base::AsBytes(text)).ok());
  };
  overwrite("{\"run\": ");
  EXPECT_EQ(RunFolder::Open(disk_.get(), path_, kStart).status().code(), Code::kDataLoss);
  overwrite(R"({"run": "x", "program": "weft"})");
  EXPECT_EQ(RunFolder::Open(disk_.get(), path_, kStart).status().message(),
            path_ + "/run.json: config: is missing, want the job's config");
}

TEST_F(RunFolderTest, MetricsAreOneLineAnEvent) {
  RunFolder folder = Create();
  folder.AddStart(0, kStart);
  folder.Add(cluster::StepDone{0, 0, 8, 2.25, 1, 0.5, 1, {}}, 0.5);
  folder.Add(cluster::DeviceProgress{1, 10, 2}, 0.6);
  folder.Add(cluster::EpochDone{0, 1, 2.25, 0.125, 0, 0}, 0.7);
  folder.Add(Evaluated{0, 4, 2, 0.25}, 0.8);
  const auto lines = base::Split(Text("metrics.jsonl"), '\n');
  ASSERT_EQ(lines.size(), 5u);  // the last one is empty
  EXPECT_EQ(lines[0], R"({"event":"start","step":0,"time":"2026-01-31T12:00:00Z"})");
  EXPECT_EQ(nlohmann::json::parse(lines[1])["loss"], 2.25);
  EXPECT_EQ(nlohmann::json::parse(lines[2])["event"], "epoch");
  EXPECT_EQ(nlohmann::json::parse(lines[3])["accuracy"], 0.25);
}

TEST_F(RunFolderTest, DevicesAreNotedOnce) {
  RunFolder folder = Create();
  for (const char* name : {"mini", "pi", "mini"}) {
    folder.Add(cluster::DeviceJoined{1, name, false}, 0);
  }
  EXPECT_EQ(Json()["devices"].dump(), R"(["mini","pi"])");
}

TEST_F(RunFolderTest, DevicesAreWrittenEveryTwoSecondsAndAtTheEnd) {
  RunFolder folder = Create();
  folder.AddStart(0, kStart);
  const auto devices = [&] { return nlohmann::json::parse(Text("devices.json")); };
  folder.Add(cluster::DeviceJoined{1, "mini", false}, 0.5);
  EXPECT_EQ(devices()["devices"][0]["joined"], kStart);
  EXPECT_EQ(devices()["devices"][0]["state"], "joined");
  folder.Add(cluster::DeviceProgress{1, 10, 2, {.free_bytes = 7}}, 1.0);
  EXPECT_EQ(devices()["devices"][0]["state"], "joined") << "too soon";
  folder.Add(cluster::DeviceProgress{1, 10, 2, {.free_bytes = 8}}, 2.6);
  EXPECT_EQ(devices()["devices"][0]["stats"]["free_bytes"], 8);
  EXPECT_EQ(devices()["updated"], "2026-01-31T12:00:02Z");
  cluster::StepDone step;
  step.parts = {{1, 8}};
  folder.Add(step, 3.0);
  folder.Finish({}, "2026-01-31T12:00:05Z");
  EXPECT_EQ(devices()["devices"][0]["samples"], 8);
  EXPECT_EQ(devices()["devices"][0]["state"], "done");
  EXPECT_EQ(devices()["updated"], "2026-01-31T12:00:05Z");
}

TEST_F(RunFolderTest, DevicesOfEarlierStartsAreKept) {
  RunFolder first = Create();
  first.AddStart(0, kStart);
  cluster::StepDone step;
  step.parts = {{1, 8}};
  first.Add(cluster::DeviceJoined{1, "mini", false}, 0);
  first.Add(cluster::DeviceJoined{2, "pi", false}, 0);
  first.Add(step, 3);
  auto second = RunFolder::Open(disk_.get(), path_, "2026-01-31T13:00:00Z");
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  second->AddStart(1, "2026-01-31T13:00:00Z");
  second->Add(cluster::DeviceJoined{1, "mini", true}, 1);
  second->Add(step, 2);
  second->Finish({}, "2026-01-31T13:00:03Z");
  const auto devices = nlohmann::json::parse(Text("devices.json"))["devices"];
  EXPECT_EQ(devices[0]["samples"], 16);
  EXPECT_EQ(devices[0]["joined"], kStart);
  EXPECT_EQ(devices[0]["state"], "done");
  EXPECT_EQ(devices[1]["state"], "left") << "it did not come back";
}

TEST_F(RunFolderTest, DamagedDevicesAreAWarning) {
  Create();
  ASSERT_TRUE(disk_->AppendFile(path_ + "/devices.json", base::AsBytes("{")).ok());
  EXPECT_TRUE(RunFolder::Open(disk_.get(), path_, kStart).ok());
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_NE(messages_[0].find("devices.json"), std::string::npos);
}

TEST_F(RunFolderTest, NewestRunIsTheOneStartedLast) {
  EXPECT_EQ(NewestRun(disk_.get(), temp_.path()).status().code(), Code::kNotFound);
  EXPECT_EQ(NewestRun(disk_.get(), temp_ / "nowhere").status().code(), Code::kNotFound);
  Create();
  RunRecord later = Record();
  later.started = {"2026-02-01T00:00:00Z"};
  ASSERT_TRUE(RunFolder::Create(disk_.get(), temp_ / "a-later-one", later).ok());
  EXPECT_EQ(NewestRun(disk_.get(), temp_.path()).value(), temp_ / "a-later-one");
  ASSERT_TRUE(RunFolder::Open(disk_.get(), path_, "2026-03-01T00:00:00Z").ok());
  EXPECT_EQ(NewestRun(disk_.get(), temp_.path()).value(), path_) << "was continued";
}

TEST_F(RunFolderTest, RecordTellsHowItEnded) {
  RunFolder folder = Create();
  EXPECT_EQ(ReadRunRecord(disk_.get(), path_)->outcome, "");
  RunResult result;
  result.outcome = "completed";
  folder.Finish(result, kStart);
  EXPECT_EQ(ReadRunRecord(disk_.get(), path_)->outcome, "completed");
}

TEST_F(RunFolderTest, FinishNotesTheResult) {
  RunFolder folder = Create();
  RunResult result;
  result.outcome = "completed";
  result.test_accuracy = 0.96875;
  folder.Finish(result, "2026-01-31T12:01:00Z");
  EXPECT_EQ(Json()["ended"], "2026-01-31T12:01:00Z");
  EXPECT_EQ(Json()["result"]["test_accuracy"], 0.96875);
}

TEST_F(RunFolderTest, FullDiskIsOneWarning) {
  RunFolder folder = Create();
  const std::string before = Text("run.json");
  faults_.free_bytes = 10;
  folder.Add(cluster::StepDone{}, 0);
  folder.Add(cluster::DeviceJoined{1, "mini", false}, 0);
  folder.Finish({}, kStart);
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_EQ(messages_[0], "the run's record has gaps from here on: " + path_ +
                              "/metrics.jsonl: cannot write: No space left on device; training "
                              "goes on");
  EXPECT_EQ(Text("run.json"), before);
  faults_.free_bytes = -1;
  folder.Add(cluster::StepDone{}, 0);
  ASSERT_EQ(messages_.size(), 2u);
  EXPECT_EQ(messages_[1], path_ + ": can be written again");
  EXPECT_EQ(base::Split(Text("metrics.jsonl"), '\n').size(), 2u);
}

TEST_F(RunFolderTest, CreateFailsOnAFullDisk) {
  faults_.free_bytes = 0;
  EXPECT_EQ(RunFolder::Create(disk_.get(), path_, Record()).status().code(),
            Code::kResourceExhausted);
}

}  // namespace
}  // namespace weft::app
