#include "base/doc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file_system.h"
#include "base/test_folder.h"

namespace weft::base {
namespace {

using ::testing::HasSubstr;

constexpr char kJob[] = R"(# a job
[job]
name = "demo"
epochs = 3

[optimizer]
lr = 0.5
nesterov = true
steps = [1, 2]
tags = ["a", "b"]
)";

Doc Toml(const std::string& text) {
  Result<Doc> doc = ParseToml(text, "job.toml");
  EXPECT_TRUE(doc.ok()) << doc.status().ToString();
  return doc.ok() ? *doc : Doc{};
}

// The error of reading job.epochs from `text`.
std::string EpochsError(const std::string& text, Fields::Range range = {}) {
  const Doc doc = Toml(text);
  Fields fields(doc.Find("job"), "job", "job.toml");
  int64_t epochs = 7;
  fields.Get("epochs", &epochs, range);
  const Status status = fields.Finish();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(epochs, 7) << "a refused value must not arrive";
  return status.message();
}

TEST(Doc, TomlKeepsKindsOrderAndLines) {
  const Doc doc = Toml(kJob);
  ASSERT_EQ(doc.table.size(), 2u);
  EXPECT_EQ(doc.table[0].first, "job");
  const Doc* lr = doc.Find("optimizer")->Find("lr");
  ASSERT_NE(lr, nullptr);
  EXPECT_EQ(lr->kind, Doc::Kind::kFloat);
  EXPECT_EQ(lr->number, 0.5);
  EXPECT_EQ(lr->line, 7);
  EXPECT_EQ(doc.Find("optimizer")->table[3].first, "tags");
  EXPECT_EQ(doc.Find("nothing"), nullptr);
}

TEST(Doc, JsonOfTheSameShapeGivesTheSameValues) {
  const Result<Doc> doc =
      ParseJson(R"({"b": {"n": 3, "x": 0.5, "s": "t"}, "a": [true, null]})", "j");
  ASSERT_TRUE(doc.ok());
  EXPECT_EQ(doc->table[0].first, "b");  // file order
  EXPECT_EQ(doc->Find("b")->Find("n")->integer, 3);
  EXPECT_EQ(doc->Find("b")->Find("n")->number, 3.0);
  EXPECT_EQ(doc->Find("b")->Find("x")->number, 0.5);
  EXPECT_EQ(doc->Find("b")->Find("s")->text, "t");
  EXPECT_TRUE(doc->Find("a")->array[0].boolean);
  EXPECT_EQ(doc->Find("a")->array[1].kind, Doc::Kind::kNull);
}

TEST(Doc, BadTextSaysWhere) {
  const Status toml = ParseToml("a = 1\nb = = 2\n", "job.toml").status();
  EXPECT_EQ(toml.code(), Code::kInvalidArgument);
  EXPECT_THAT(toml.message(), HasSubstr("job.toml:2:"));
  const Status json = ParseJson("{\"a\": 1,\n \"b\" 2}", "job.json").status();
  EXPECT_EQ(json.code(), Code::kInvalidArgument);
  EXPECT_THAT(json.message(), HasSubstr("job.json: not valid JSON"));
  EXPECT_THAT(json.message(), HasSubstr("line 2"));
}

TEST(Doc, AKeyThatStandsTwiceIsRefused) {
  EXPECT_FALSE(ParseToml("a = 1\na = 2\n", "t").ok());
  EXPECT_EQ(ParseJson(R"({"x": {"a": 1}, "y": {"a": 1, "a": 2}})", "j").status().message(),
            "j: key \"a\" stands twice");
  EXPECT_TRUE(ParseJson(R"({"x": {"a": 1}, "a": [{"a": 1}, {"a": 2}]})", "j").ok());
}

TEST(Doc, DeepNestingIsRefused) {
  const std::string deep(200000, '[');
  EXPECT_THAT(ParseJson(deep + std::string(200000, ']'), "j").status().message(),
              HasSubstr("nested more than"));
  EXPECT_FALSE(ParseJson(deep, "j").ok());
  EXPECT_FALSE(ParseToml("a = " + deep, "t").ok());
}

TEST(Doc, IntegersAboveInt64AreNumbersNotNegative) {
  const Result<Doc> doc = ParseJson(R"({"a": 18446744073709551615})", "j");
  ASSERT_TRUE(doc.ok());
  EXPECT_EQ(doc->Find("a")->kind, Doc::Kind::kFloat);
  EXPECT_GT(doc->Find("a")->number, 1.8e19);
}

TEST(Doc, LoadPicksTheLanguageByEnding) {
  const TestFolder folder;
  ASSERT_TRUE(LocalFileSystem().WriteFileAtomic(folder / "a.json", AsBytes("{\"a\": 1}")).ok());
  ASSERT_TRUE(LocalFileSystem().WriteFileAtomic(folder / "a.toml", AsBytes("a = 1")).ok());
  for (const char* name : {"a.json", "a.toml"}) {
    const Result<Doc> doc = LoadDoc(folder / name);
    ASSERT_TRUE(doc.ok()) << doc.status().ToString();
    EXPECT_EQ(doc->Find("a")->integer, 1);
  }
  EXPECT_EQ(LoadDoc(folder / "b.toml").status().code(), Code::kNotFound);
}

TEST(Fields, ReadsEveryKind) {
  const Doc doc = Toml(kJob);
  Fields fields(doc.Find("optimizer"), "optimizer", "job.toml");
  double lr = 0;
  bool nesterov = false;
  std::vector<int64_t> steps;
  std::vector<std::string> tags;
  std::string absent = "left alone";
  fields.Get("lr", &lr, {.min = 0, .max = 1});
  fields.Get("nesterov", &nesterov);
  fields.Get("steps", &steps, {.min = 0});
  fields.Get("tags", &tags);
  fields.Get("absent", &absent);
  EXPECT_TRUE(fields.Finish().ok());
  EXPECT_EQ(lr, 0.5);
  EXPECT_TRUE(nesterov);
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(absent, "left alone");
}

TEST(Fields, ErrorsNameFileLineAndField) {
  EXPECT_EQ(EpochsError("[job]\n\nepochs = 0\n", {.min = 1}),
            "job.toml:3: job.epochs: got 0, want at least 1");
  EXPECT_EQ(EpochsError("[job]\nepochs = 9\n", {.min = 1, .max = 8}),
            "job.toml:2: job.epochs: got 9, want 1..8");
  EXPECT_EQ(EpochsError("[job]\nepochs = \"three\"\n"),
            "job.toml:2: job.epochs: got a string, want an integer");
  EXPECT_EQ(EpochsError("[job]\n", {.required = true}),
            "job.toml:1: job.epochs: is missing, want an integer");
  EXPECT_EQ(EpochsError("job = 3\n"), "job.toml:1: job: got an integer, want a table");
}

TEST(Fields, UnknownKeyGetsADidYouMean) {
  EXPECT_EQ(EpochsError("[job]\nepoch = 3\n"),
            "job.toml:2: job.epoch: unknown key; did you mean \"epochs\"?");
  EXPECT_EQ(EpochsError("[job]\nwhatever = 3\n"),
            "job.toml:2: job.whatever: unknown key; known here: epochs");
}

TEST(Fields, ListsAreCheckedItemByItem) {
  const Doc doc = Toml("steps = [1, -1]\n");
  Fields fields(&doc, "", "job.toml");
  std::vector<int64_t> steps;
  fields.Get("steps", &steps, {.min = 0});
  EXPECT_THAT(fields.Finish().message(), HasSubstr("-1"));
  EXPECT_TRUE(steps.empty());
}

TEST(Fields, ChoicesAreChecked) {
  const Doc doc = Toml("name = \"sgdd\"\n");
  Fields fields(&doc, "optimizer", "job.toml");
  std::string name = "adamw";
  fields.GetChoice("name", &name, {"sgd", "adamw"});
  EXPECT_EQ(fields.Finish().message(),
            "job.toml:1: optimizer.name: got \"sgdd\", want sgd or adamw (did you mean \"sgd\"?)");
  EXPECT_EQ(name, "adamw");
}

TEST(Fields, AnAbsentTableLeavesEverythingAlone) {
  Fields fields(nullptr, "link", "job.toml");
  double density = 0.25;
  fields.Get("density", &density);
  EXPECT_TRUE(fields.Finish().ok());
  EXPECT_EQ(density, 0.25);
}

TEST(ApplyOverride, ReplacesAddsAndGuessesBareWords) {
  Doc doc = Toml(kJob);
  for (const char* assignment : {"job.epochs=5", "job.name=fast one", "link.density=0.01",
                                 "optimizer.steps=[4]", "job.note="}) {
    ASSERT_TRUE(ApplyOverride(assignment, &doc).ok()) << assignment;
  }
  EXPECT_EQ(doc.Find("job")->Find("epochs")->integer, 5);
  EXPECT_EQ(doc.Find("job")->Find("name")->text, "fast one");
  EXPECT_EQ(doc.Find("link")->Find("density")->number, 0.01);
  EXPECT_EQ(doc.Find("optimizer")->Find("steps")->array[0].integer, 4);
  EXPECT_EQ(doc.Find("optimizer")->Find("steps")->array[0].line, Doc::kOverrideLine);
  EXPECT_EQ(doc.Find("job")->Find("note")->text, "");
  EXPECT_EQ(doc.Find("job")->table.size(), 3u);
}

TEST(ApplyOverride, WantsAKeyAndAnEqualsSign) {
  Doc doc;
  EXPECT_EQ(ApplyOverride("job.epochs", &doc).code(), Code::kInvalidArgument);
  EXPECT_EQ(ApplyOverride("=3", &doc).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace weft::base
