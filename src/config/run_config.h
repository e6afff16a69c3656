#pragma once
// RunConfig: one job, read from TOML or JSON, checked, with every default filled in. What is in it
// does something; a key that a later piece of weft will read is refused until then.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/doc.h"
#include "base/status.h"

namespace weft::config {

struct JobOptions {
  std::string name;  // the job file's own name if left out
  int64_t seed = 1;
  int64_t epochs = 0;
  int64_t batch = 0;  // samples of one step over all workers
  bool deterministic = false;
  int64_t eval_every = 1;        // epochs; 0: only at the end
  double target_accuracy = 0;    // on the test data, 0..1; 0: none
  std::string out;               // run folder, as written; empty: the app chooses
  int64_t checkpoint_every = 0;  // steps; 0: at each epoch's end
  bool operator==(const JobOptions&) const = default;
};

struct ModelOptions {
  std::string preset;  // exactly one of preset and file
  std::string file;
  std::string init;  // safetensors to start from; empty: drawn from the seed
  bool operator==(const ModelOptions&) const = default;
};

// How values are normalised, (x - mean) / std a channel (of sounds: a coefficient).
struct Normalise {
  bool on = true;
  std::vector<double> mean;  // empty: measured on the training data
  std::vector<double> std;
  bool operator==(const Normalise&) const = default;
};

struct DataOptions {
  std::string train;  // a source as in data/dataset.h
  std::string test;   // empty: no evaluation
  Normalise normalise;
  int64_t crop_pad = 0;
  bool flip = false;
  int64_t time_shift = 0;  // frames
  int64_t time_mask = 0;   // frames
  double noise = 0;
  int64_t limit = 0;  // first samples only; 0: all
  int64_t test_limit = 0;
  std::string placement = "shared";
  std::string partition = "iid";  // as data::ParsePartition takes it
  bool operator==(const DataOptions&) const = default;
};

struct OptimizerOptions {
  std::string name = "sgd";
  double lr = 0;  // filled in by name if left out
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  std::string schedule = "constant";
  int64_t warmup_steps = 0;
  std::vector<int64_t> step_epochs;
  double step_factor = 0.1;
  double min_lr = 0;
  bool operator==(const OptimizerOptions&) const = default;
};

struct ClusterOptions {
  int64_t workers = 1;
  std::string aggregation = "sync";
  std::vector<int64_t> shares;  // samples of each worker in a step; empty: even
  int64_t threads = 0;          // a worker; 0: cores shared out evenly
  int64_t heartbeat_ms = 500;
  int64_t device_timeout_ms = 5000;
  std::string kernels = "auto";
  // How updates are joined; meanings as in aggregate/options.h.
  std::string combine = "mean";
  double trim = 0.1;
  double quorum = 1;
  double over_selection = 0;
  int64_t max_staleness = 0;
  double staleness_exponent = 0.5;
  double delay_compensation = 0;
  int64_t buffer = 0;
  int64_t local_steps = 1;
  double outer_lr = 0.7;
  double outer_momentum = 0.9;
  int64_t leaders = 1;
  std::string site_sums = "auto";
  bool share_by_speed = true;
  bool operator==(const ClusterOptions&) const = default;
};

struct LinkOptions {
  std::string codec = "dense";       // worker to leader
  std::string down_codec = "dense";  // leader to worker
  // Of updates, then of parameters; 0 and "": what the codec takes by itself.
  double density = 0;
  std::string values;
  double down_density = 0;
  std::string down_values;
  int64_t rank = 0;          // of powersgd
  int64_t warmup_steps = 0;  // in which the density of updates falls to its end
  int64_t flush_updates = 0;
  double clip = 0;                // norm of a gradient, before it is added up; 0: any
  double budget = 0.1;            // of auto: communication over computing, at most
  int64_t most_local_steps = 16;  // of auto
  bool operator==(const LinkOptions&) const = default;
};

// A number of bytes, written as such or as "200 MiB".
struct ByteCount {
  int64_t value = 0;
  bool operator==(const ByteCount&) const = default;
};

struct CutOptions {
  ByteCount memory_budget;  // of a worker's training step; 0: no limit
  bool operator==(const CutOptions&) const = default;
};

struct RunConfig {
  JobOptions job;
  ModelOptions model;
  DataOptions data;
  OptimizerOptions optimizer;
  ClusterOptions cluster;
  LinkOptions link;
  CutOptions cut;

  // The whole config on one line, keys in the order of docs/job.md, defaults written out: equal
  // configs give equal text, and FromJson gives the config back.
  std::string ToJson() const;
  // SHA-256 of ToJson(), hex.
  std::string Digest() const;

  bool operator==(const RunConfig&) const = default;
};

// Where a document came from.
struct Origin {
  std::string file;    // named in messages; its stem is the default of job.name
  std::string folder;  // relative paths in the document (data folders, model.file, model.init)
                       // start here; empty: left as they are
};

// Reads a parsed job. Errors: kInvalidArgument with file:line, the field, what was got and what is
// wanted; an unknown key has a did-you-mean.
Result<RunConfig> FromDoc(const base::Doc& doc, const Origin& origin);

// Reads what ToJson() wrote, as in run.json and on the wire. `name` stands in messages.
Result<RunConfig> FromJson(std::string_view json, const std::string& name);

// Reads a job file, then applies `overrides` ("cluster.workers=8") in order. Relative paths, also
// those in overrides, start at the job file's folder; job.out starts at the working directory.
// Errors: as FromDoc; those of the file system pass through.
Result<RunConfig> Load(const std::string& path, std::span<const std::string> overrides);

// Every key with type, default and meaning, as Markdown: docs/job.md.
std::string JobReference();

}  // namespace weft::config
