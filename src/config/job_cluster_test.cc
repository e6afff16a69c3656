// Which keys of [cluster] and [data] go together, and what is said of those that do not.

#include <gtest/gtest.h>

#include "config/run_config.h"

namespace weft::config {
namespace {

// "ok", or what is wrong with a job with these lines in [cluster], and these before it.
std::string ErrorOf(const std::string& cluster, const std::string& data = "",
                    const std::string& job = "") {
  const std::string text =
      "[job]\nepochs = 2\nbatch = 64\n" + job + "[model]\npreset = \"lenet5\"\n[data]\n" +
      "train = \"synthetic:shapes?n=100\"\n" + data + "[cluster]\nworkers = 4\n" + cluster;
  const auto doc = base::ParseToml(text, "job.toml");
  const auto config = doc.ok() ? FromDoc(*doc, {.file = "job.toml", .folder = "/jobs"})
                               : Result<RunConfig>(doc.status());
  if (config.ok()) return "ok";
  const std::string message = config.status().message();
  return message.substr(message.find(' ') + 1);  // without file and line
}

const std::string kAll = "aggregation = \"ssp\", \"async\" or \"buffered\"";

TEST(JobCluster, TakesWhatGoesTogether) {
  for (const std::string good : {
           "aggregation = \"ssp\"\nmax_staleness = 2\ndelay_compensation = 0.5\n",
           "aggregation = \"async\"\nmax_staleness = 9\nstaleness_exponent = 0\n",
           "aggregation = \"buffered\"\nbuffer = 2\ncombine = \"median\"\n",
           "aggregation = \"async\"\nlocal_steps = 8\nouter_lr = 1\nouter_momentum = 0\n",
           "combine = \"trimmed-mean\"\ntrim = 0.25\n",
           "quorum = 0.75\nstaleness_exponent = 1\n",
           "over_selection = 0.25\nleaders = 0\nshare_by_speed = false\n",
           "leaders = 3\nshares = [1, 2, 3, 58]\n",
       }) {
    EXPECT_EQ(ErrorOf(good), "ok") << good;
  }
  for (const std::string partition : {"iid", "dirichlet:0.3", "classes:2"}) {
    EXPECT_EQ(ErrorOf("", "placement = \"local\"\npartition = \"" + partition + "\"\n"), "ok");
  }
  EXPECT_EQ(ErrorOf("leaders = 2\nlocal_steps = 4\n", "placement = \"distributed\"\n",
                    "deterministic = true\n"),
            "ok");
}

TEST(JobCluster, RefusesWhatTheAggregationDoesNotRead) {
  const auto is_read_by = [](const std::string& key, const std::string& readers,
                             const std::string& got) {
    return "cluster." + key + ": is read by " + readers + " only, got " + got;
  };
  const std::string sync = "aggregation = \"sync\"", async = "aggregation = \"async\"";
  EXPECT_EQ(ErrorOf("quorum = 0.5\n" + async + "\n"), is_read_by("quorum", sync, async));
  EXPECT_EQ(ErrorOf("over_selection = 0.5\n" + async + "\n"),
            is_read_by("over_selection", sync, async));
  EXPECT_EQ(ErrorOf("shares = [16, 16, 16, 16]\n" + async + "\n"),
            is_read_by("shares", sync, async));
  EXPECT_EQ(ErrorOf("max_staleness = 3\n"), is_read_by("max_staleness", kAll, sync));
  EXPECT_EQ(ErrorOf("staleness_exponent = 1\n"),
            is_read_by("staleness_exponent", "quorum below 1 and " + kAll, sync));
  EXPECT_EQ(ErrorOf("delay_compensation = 1\n"), is_read_by("delay_compensation", kAll, sync));
  EXPECT_EQ(ErrorOf("delay_compensation = 1\nlocal_steps = 2\n" + async + "\n"),
            is_read_by("delay_compensation", "local_steps = 1", "local_steps = 2"));
  EXPECT_EQ(ErrorOf("buffer = 2\n" + async + "\n"),
            is_read_by("buffer", "aggregation = \"buffered\"", async));
  EXPECT_EQ(ErrorOf("trim = 0.2\n"),
            is_read_by("trim", "combine = \"trimmed-mean\"", "combine = \"mean\""));
  EXPECT_EQ(ErrorOf("outer_lr = 1\n"),
            is_read_by("outer_lr", "local_steps above 1", "local_steps = 1"));
  EXPECT_EQ(ErrorOf("outer_momentum = 0\n"),
            is_read_by("outer_momentum", "local_steps above 1", "local_steps = 1"));
  EXPECT_EQ(ErrorOf("combine = \"median\"\n" + async + "\n"),
            "cluster.combine: got \"median\" with aggregation = \"async\", by which each update is "
            "applied alone; want mean, or aggregation = \"sync\" or \"buffered\"");
}

TEST(JobCluster, RefusesValuesThatMakeNoSense) {
  EXPECT_EQ(
      ErrorOf("aggregation = \"ssp\"\n"),
      "cluster.max_staleness: got 0 with aggregation = \"ssp\", want how many rounds a device "
      "may be ahead of the slowest, 1 or more");
  EXPECT_EQ(
      ErrorOf("aggregation = \"asnyc\"\n"),
      "cluster.aggregation: got \"asnyc\", want sync, ssp, async, buffered or auto (did you mean "
      "\"async\"?)");
  EXPECT_EQ(ErrorOf("quorum = 0\n"), "cluster.quorum: got 0, want it above 0");
  EXPECT_EQ(ErrorOf("combine = \"trimmed-mean\"\ntrim = 0.5\n"),
            "cluster.trim: got 0.5, want it below 0.5");
  EXPECT_EQ(ErrorOf("local_steps = 0\n"), "cluster.local_steps: got 0, want 1..10000");
  EXPECT_EQ(ErrorOf("local_steps = 2\nouter_lr = 0\n"),
            "cluster.outer_lr: got 0, want a number above 0");
  EXPECT_EQ(ErrorOf("local_steps = 2\nouter_momentum = 1\n"),
            "cluster.outer_momentum: got 1, want a number below 1");
  EXPECT_EQ(ErrorOf("leaders = -1\n"), "cluster.leaders: got -1, want 0..4096");
}

TEST(JobCluster, DeterministicJobsAreSync) {
  const std::string job = "deterministic = true\n";
  EXPECT_EQ(ErrorOf("aggregation = \"async\"\n", "", job),
            "cluster.aggregation: got \"async\", want sync with job.deterministic");
  EXPECT_EQ(ErrorOf("quorum = 0.5\n", "", job),
            "cluster.quorum: got 0.5, want 1 with job.deterministic");
  EXPECT_EQ(ErrorOf("over_selection = 0.5\n", "", job),
            "cluster.over_selection: got 0.5, want 0 with job.deterministic");
  EXPECT_EQ(ErrorOf("", "placement = \"local\"\n", job),
            "data.placement: got \"local\", want another one with job.deterministic: what is "
            "computed would depend on which devices are there");
}

TEST(JobCluster, LocalDataStaysWhereItIs) {
  const std::string local = "placement = \"local\"\n";
  const std::string only =
      ": is read by data.placement = \"shared\" or \"distributed\", where any device can compute "
      "any sample, only, got \"local\"";
  EXPECT_EQ(ErrorOf("shares = [16, 16, 16, 16]\n", local), "cluster.shares" + only);
  EXPECT_EQ(ErrorOf("over_selection = 0.5\n", local), "cluster.over_selection" + only);
  EXPECT_EQ(ErrorOf("", "partition = \"classes:2\"\n"),
            "data.partition: is read by placement = \"local\" only, got \"shared\"");
  EXPECT_NE(ErrorOf("", local + "partition = \"clases:2\"\n").find("did you mean"),
            std::string::npos);
  EXPECT_EQ(ErrorOf("", "placement = \"near\"\n"),
            "data.placement: got \"near\", want shared, distributed or local");
}

}  // namespace
}  // namespace weft::config
