#include "config/options.h"

namespace weft::config {
namespace {

// Beyond these a number is a slip of the hand, and sums of such numbers stay far from overflow.
constexpr double kMaxCount = 1e9;
constexpr double kMaxSeed = 9007199254740991;  // 2^53 - 1: exact in every JSON reader

void VisitJob(JobOptions* job, OptionVisitor* v) {
  v->Section("job", "What to train, how long, and what to leave behind.");
  v->Visit({.key = "name",
            .meaning = "Name of the run: letters, digits, `-`, `_` and `.`, at most 64.",
            .default_text = "the job file's name"},
           &job->name);
  v->Visit({.key = "seed",
            .meaning = "Seed of weights, sample order, augmentation and dropout.",
            .min = 0,
            .max = kMaxSeed},
           &job->seed);
  v->Visit({.key = "epochs",
            .meaning = "Passes over the training data.",
            .min = 1,
            .max = 1e6,
            .required = true},
           &job->epochs);
  v->Visit({.key = "batch",
            .meaning = "Samples in one step, over all workers.",
            .min = 1,
            .max = 1e6,
            .required = true},
           &job->batch);
  v->Visit({.key = "deterministic",
            .meaning = "Add gradients in a fixed order, so that equal runs end in equal bits."},
           &job->deterministic);
  v->Visit({.key = "eval_every",
            .meaning = "Epochs between evaluations on the test data; 0: only at the end.",
            .min = 0,
            .max = 1e6},
           &job->eval_every);
  v->Visit({.key = "target_accuracy",
            .meaning = "Stop at the first evaluation that reaches this share of correct test "
                       "samples; 0: never.",
            .min = 0,
            .max = 1},
           &job->target_accuracy);
  v->Visit({.key = "out",
            .meaning = "Run folder; a relative one starts at the working directory.",
            .default_text = "`runs/NAME-TIME`"},
           &job->out);
  v->Visit({.key = "checkpoint_every",
            .meaning = "Steps between checkpoints; 0: at the end of each epoch.",
            .min = 0,
            .max = kMaxCount},
           &job->checkpoint_every);
}

void VisitModel(ModelOptions* model, OptionVisitor* v) {
  v->Section("model", "The network: exactly one of `preset` and `file`.");
  v->Visit({.key = "preset", .meaning = "A network that comes with weft, such as `lenet5`."},
           &model->preset);
  v->Visit({.key = "file", .meaning = "A model file, TOML or JSON.", .path = PathKind::kFile},
           &model->file);
  v->Visit({.key = "init",
            .meaning = "Weights to start from (safetensors).",
            .default_text = "drawn from the seed",
            .path = PathKind::kFile},
           &model->init);
}

void VisitData(DataOptions* data, OptionVisitor* v) {
  v->Section("data", "Where samples come from and what is done to them.");
  v->Visit({.key = "train",
            .meaning = "Training data: `idx:DIR`, `cifar10:DIR`, `cifar100:DIR`, `wav:DIR` (see "
                       "[sound.md](sound.md)) or `synthetic:shapes?n=6000&seed=1`.",
            .required = true,
            .path = PathKind::kSource},
           &data->train);
  v->Visit({.key = "test",
            .meaning = "Test data, in the same forms; of a folder that holds both, the test part.",
            .default_text = "no evaluation",
            .path = PathKind::kSource},
           &data->test);
  v->Visit({.key = "normalise",
            .meaning = "`true`: mean and deviation of each channel (of sounds: each "
                       "coefficient), measured on the training data; "
                       "`{mean = [..], std = [..]}`: given; `false`: values stay as they are, "
                       "pixels in 0..1."},
           &data->normalise);
  v->Visit({.key = "crop_pad",
            .meaning = "Zero pixels added on each side before a random crop back to size.",
            .min = 0,
            .max = 1024},
           &data->crop_pad);
  v->Visit({.key = "flip", .meaning = "Mirror a training sample left-right half of the time."},
           &data->flip);
  v->Visit({.key = "time_shift",
            .meaning = "Move a training sample in time by up to this many frames (rows; of sounds "
                       "20 ms each by default), repeating the frame at the edge.",
            .min = 0,
            .max = 1e5},
           &data->time_shift);
  v->Visit({.key = "time_mask",
            .meaning = "Blank a stretch of up to this many frames of a training sample.",
            .min = 0,
            .max = 1e5},
           &data->time_mask);
  v->Visit({.key = "noise",
            .meaning = "Deviation of normal noise added to the values of a training sample.",
            .min = 0,
            .max = 1e3},
           &data->noise);
  v->Visit({.key = "limit",
            .meaning = "Use only this many training samples; 0: all.",
            .min = 0,
            .max = kMaxCount},
           &data->limit);
  v->Visit({.key = "test_limit",
            .meaning = "Use only this many test samples; 0: all.",
            .min = 0,
            .max = kMaxCount},
           &data->test_limit);
  v->Visit({.key = "placement",
            .meaning = "Where training samples are, see [placement.md](placement.md): `shared`: "
                       "each device opens the data set; `distributed`: the coordinator's process "
                       "does, and feeds them to devices that have no copy; `local`: each device "
                       "has its own part, and only updates move.",
            .choices = {"shared", "distributed", "local"}},
           &data->placement);
  v->Visit({.key = "partition",
            .meaning = "How the data set is cut into a part for each of `cluster.workers` devices "
                       "(`local`): `iid`: evenly; `dirichlet:A`: classes unevenly, the more so "
                       "the smaller A; `classes:K`: K classes each."},
           &data->partition);
}

void VisitOptimizer(OptimizerOptions* optimizer, OptionVisitor* v) {
  v->Section("optimizer", "How gradients become new weights.");
  v->Visit({.key = "name", .meaning = "The update rule.", .choices = {"sgd", "adamw"}},
           &optimizer->name);
  v->Visit({.key = "lr",
            .meaning = "Learning rate after warm-up.",
            .min = 0,
            .max = 1e3,
            .default_text = "0.01 for sgd, 0.001 for adamw"},
           &optimizer->lr);
  v->Visit({.key = "momentum", .meaning = "Of sgd; below 1.", .min = 0, .max = 1},
           &optimizer->momentum);
  v->Visit({.key = "nesterov", .meaning = "Look ahead along the momentum (sgd)."},
           &optimizer->nesterov);
  v->Visit({.key = "weight_decay", .meaning = "Pull of every weight to 0.", .min = 0, .max = 1e3},
           &optimizer->weight_decay);
  v->Visit({.key = "beta1", .meaning = "Memory of the mean (adamw); below 1.", .min = 0, .max = 1},
           &optimizer->beta1);
  v->Visit(
      {.key = "beta2", .meaning = "Memory of the square (adamw); below 1.", .min = 0, .max = 1},
      &optimizer->beta2);
  v->Visit({.key = "eps", .meaning = "Added to the root (adamw); above 0.", .min = 0, .max = 1},
           &optimizer->eps);
  v->Visit({.key = "schedule",
            .meaning = "How the rate goes on after warm-up: `constant`; `step`: times "
                       "`step_factor` at each of `step_epochs`; `cosine`: down to `min_lr` at the "
                       "last step.",
            .choices = {"constant", "step", "cosine"}},
           &optimizer->schedule);
  v->Visit({.key = "warmup_steps",
            .meaning = "Steps over which the rate rises in a line from 0 to `lr`.",
            .min = 0,
            .max = kMaxCount},
           &optimizer->warmup_steps);
  v->Visit({.key = "step_epochs",
            .meaning = "Epochs, counted from 0 and rising, at whose start the rate drops (`step`).",
            .min = 1,
            .max = 1e6},
           &optimizer->step_epochs);
  v->Visit({.key = "step_factor", .meaning = "Factor of each drop (`step`).", .min = 0, .max = 1},
           &optimizer->step_factor);
  v->Visit({.key = "min_lr", .meaning = "Where `cosine` ends.", .min = 0, .max = 1e3},
           &optimizer->min_lr);
}

// How updates are joined.
void VisitAggregation(ClusterOptions* cluster, OptionVisitor* v) {
  v->Visit({.key = "combine",
            .meaning = "How updates applied together become one: `mean`, weighted by samples; "
                       "`median` or `trimmed-mean` of each coordinate, which hold against a few "
                       "wrong ones (`sync`, `buffered`).",
            .choices = {"mean", "median", "trimmed-mean"}},
           &cluster->combine);
  v->Visit({.key = "trim",
            .meaning = "Share of the updates left out at each end (`trimmed-mean`); below 0.5.",
            .min = 0,
            .max = 0.5},
           &cluster->trim);
  v->Visit({.key = "quorum",
            .meaning = "A step is applied once so great a share of its samples has come; the "
                       "rest count in the next (`sync`).",
            .min = 0,
            .max = 1},
           &cluster->quorum);
  v->Visit({.key = "over_selection",
            .meaning = "Devices kept in reserve, as a share of those that a step needs: they "
                       "compute the same as others, and the first update counts (`sync`).",
            .min = 0,
            .max = 1},
           &cluster->over_selection);
  v->Visit({.key = "max_staleness",
            .meaning = "Rounds: how far ahead of the slowest a device may be (`ssp`, from 1); "
                       "beyond which an update is refused (`async`, `buffered`), 0: never.",
            .min = 0,
            .max = 1e6},
           &cluster->max_staleness);
  v->Visit({.key = "staleness_exponent",
            .meaning = "An update s > 1 rounds older than usual weighs s^-this (all but `sync` "
                       "without `quorum`).",
            .min = 0,
            .max = 10},
           &cluster->staleness_exponent);
  v->Visit({.key = "delay_compensation",
            .meaning = "How strongly an old gradient is corrected for where the parameters are "
                       "now (all but `sync`, without `local_steps`); 0: not.",
            .min = 0,
            .max = 100},
           &cluster->delay_compensation);
  v->Visit({.key = "buffer",
            .meaning = "Updates applied together (`buffered`); 0: half of `workers`.",
            .min = 0,
            .max = 8192},
           &cluster->buffer);
  v->Visit({.key = "local_steps",
            .meaning = "Optimizer steps of a worker between two updates; above 1, updates are "
                       "what the weights changed by, applied by an outer optimizer.",
            .min = 1,
            .max = 1e4},
           &cluster->local_steps);
  v->Visit({.key = "outer_lr",
            .meaning = "Of the outer optimizer (`local_steps`); 1 with `outer_momentum = 0`: the "
                       "mean of the workers' weights.",
            .min = 0,
            .max = 100},
           &cluster->outer_lr);
  v->Visit({.key = "outer_momentum",
            .meaning = "Nesterov momentum of the outer optimizer (`local_steps`); below 1.",
            .min = 0,
            .max = 1},
           &cluster->outer_momentum);
}

void VisitCluster(ClusterOptions* cluster, OptionVisitor* v) {
  v->Section("cluster", "Who computes and how they are held together.");
  v->Visit({.key = "workers",
            .meaning = "Workers: `train` runs them here, `up` waits for them before the start.",
            .min = 1,
            .max = 1e5},
           &cluster->workers);
  v->Visit({.key = "aggregation",
            .meaning = "When updates are applied: `sync`: those of a step together; `ssp`: each "
                       "when it comes, nobody over `max_staleness` rounds ahead of the slowest; "
                       "`async`: each when it comes; `buffered`: `buffer` of them together; "
                       "`auto`: `sync` or `async`, whichever is predicted to be sooner. A "
                       "round is `job.batch` * `local_steps` samples.",
            .choices = {"sync", "ssp", "async", "buffered", "auto"}},
           &cluster->aggregation);
  VisitAggregation(cluster, v);
  v->Visit({.key = "leaders",
            .meaning = "Devices that lead a range of the parameters each; 1: the coordinator's "
                       "process leads all of them; 0: as many as pay. `weft train` is one "
                       "process, which leads all of them whatever is said here.",
            .min = 0,
            .max = 4096},
           &cluster->leaders);
  v->Visit({.key = "site_sums",
            .meaning = "Whether devices that have said their site (`weft join --site`) send the "
                       "updates of a step as one sum, through one of them that others can dial: "
                       "`auto`: where steps turn out shorter with it; `always`; `never`. Not with "
                       "`job.deterministic`, a `quorum` below 1, `over_selection`, or another "
                       "`combine` than `mean`.",
            .choices = {"auto", "always", "never"}},
           &cluster->site_sums);
  v->Visit({.key = "shares",
            .meaning = "Samples of each worker in a step; together they make `job.batch` (`sync`).",
            .min = 1,
            .max = 1e6,
            .default_text = "as `share_by_speed` says"},
           &cluster->shares);
  v->Visit({.key = "share_by_speed",
            .meaning = "Share a batch out such that all devices are done at the same time; "
                       "`false`: evenly, as with `job.deterministic`. `local` data is shared by "
                       "what is left of it."},
           &cluster->share_by_speed);
  v->Visit({.key = "threads",
            .meaning = "Threads of each worker; 0: the cores of the machine, shared out evenly.",
            .min = 0,
            .max = 1024},
           &cluster->threads);
  v->Visit(
      {.key = "heartbeat_ms",
       .meaning = "Milliseconds between signs of life of a worker. After two and a half without "
                  "one (and half a second) others do its work until it is heard again.",
       .min = 10,
       .max = 60000},
      &cluster->heartbeat_ms);
  v->Visit(
      {.key = "device_timeout_ms",
       .meaning = "Milliseconds of silence after which a worker is out of the run, and a worker "
                  "that hears nothing dials again; at least two heartbeats.",
       .min = 20,
       .max = 3600000},
      &cluster->device_timeout_ms);
  v->Visit(
      {.key = "kernels",
       .meaning = "Which kernels compute: `onednn` takes direct convolutions, `winograd` those "
                  "of fewer multiplications where they fit, `auto` on each device whichever "
                  "it measures as the faster (`onednn` if `job.deterministic`), `reference` "
                  "the plain ones, which also do what the others refuse.",
       .choices = {"auto", "onednn", "winograd", "reference"}},
      &cluster->kernels);
}

void VisitLink(LinkOptions* link, OptionVisitor* v) {
  const std::vector<std::string> choices = {"dense",      "fp16", "int8",     "3lc",
                                            "chunk-topk", "dgc",  "powersgd", "auto"};
  const std::vector<std::string> kinds = {"",     "fp32", "fp16",    "int8",
                                          "int4", "int2", "ternary", "sign"};
  v->Section("link", "How numbers are packed for the network (docs/compression.md).");
  v->Visit({.key = "codec",
            .meaning = "Of updates, worker to leader. `dense` sends every number; `fp16`, `int8` "
                       "and `3lc` every number in fewer bits; `chunk-topk` the largest of each "
                       "4,096, `dgc` those above a threshold, `powersgd` a product of two thin "
                       "matrices; `auto` what the device's link carries. What is rounded off or "
                       "left out is sent later.",
            .choices = choices},
           &link->codec);
  v->Visit({.key = "down_codec",
            .meaning = "Of parameters, leader to worker. All but `dense` and `fp16` send what has "
                       "changed since the version that the worker holds.",
            .choices = choices},
           &link->down_codec);
  v->Visit({.key = "density",
            .meaning = "Share of an update's values that `chunk-topk` and `dgc` send, and the "
                       "least that `auto` chooses; 0: 1/64 (`dgc`: 1/1000). 1 sends all.",
            .min = 0,
            .max = 1},
           &link->density);
  v->Visit({.key = "values",
            .meaning = "What each value of an update that is sent becomes; empty: what the codec "
                       "takes by itself.",
            .choices = kinds},
           &link->values);
  v->Visit({.key = "down_density",
            .meaning = "The same as `density`, of what is sent to the workers.",
            .min = 0,
            .max = 1},
           &link->down_density);
  v->Visit({.key = "down_values",
            .meaning = "The same as `values`, of what is sent to the workers.",
            .choices = kinds},
           &link->down_values);
  v->Visit({.key = "rank",
            .meaning = "Columns of the thin matrices of `powersgd`; 0: 2.",
            .min = 0,
            .max = 64},
           &link->rank);
  v->Visit({.key = "warmup_steps",
            .meaning = "Steps in which the density falls from a quarter to what it is to be.",
            .min = 0,
            .max = kMaxCount},
           &link->warmup_steps);
  v->Visit({.key = "flush_updates",
            .meaning = "Updates of a device within which each value travels, however small; 0: "
                       "small ones may wait for ever.",
            .min = 0,
            .max = kMaxCount},
           &link->flush_updates);
  v->Visit({.key = "clip",
            .meaning = "Norm to which a device cuts its gradient before it adds it up; one with a "
                       "share s of the batch, whose mean is that much noisier, cuts at this over "
                       "the square root of s; 0: not.",
            .min = 0,
            .max = kMaxCount},
           &link->clip);
  v->Visit({.key = "budget",
            .meaning = "`auto`: seconds of communication for each second of computing, at most.",
            .min = 0.001,
            .max = 10},
           &link->budget);
  v->Visit({.key = "most_local_steps",
            .meaning = "`auto`: steps that a device makes by itself between two updates, at most, "
                       "where its link carries no more.",
            .min = 1,
            .max = 1024},
           &link->most_local_steps);
}

void VisitCut(CutOptions* cut, OptionVisitor* v) {
  v->Section("cut", "How the work of a step is cut to the devices.");
  v->Visit({.key = "memory_budget",
            .meaning = "Memory of each worker for weights, gradients and activations; to hold it a "
                       "worker computes layers again in the backward pass and its share in parts, "
                       "and says so; 0: no limit."},
           &cut->memory_budget);
  v->Later("samples", "");
  v->Later("space", "");
  v->Later("channels", "");
  v->Later("grid", "");
  v->Later("groups", "");
}

}  // namespace

void VisitOptions(RunConfig* config, OptionVisitor* visitor) {
  VisitJob(&config->job, visitor);
  VisitModel(&config->model, visitor);
  VisitData(&config->data, visitor);
  VisitOptimizer(&config->optimizer, visitor);
  VisitCluster(&config->cluster, visitor);
  VisitLink(&config->link, visitor);
  VisitCut(&config->cut, visitor);
  visitor->LaterSection("device");
}

}  // namespace weft::config
