#include "config/scenario_options.h"

namespace weft::config {
namespace {

constexpr double kMaxSeed = 9007199254740991;  // 2^53 - 1: exact in every JSON reader
constexpr double kMostSeconds = 1e9;           // as of lengths of time

void VisitLink(sim::LinkOptions* link, bool in_segment, ScenarioVisitor* v) {
  v->VisitRate({.key = "up",
                .meaning = "Rate of the link away from the device.",
                .default_text = "no limit"},
               &link->up_bps);
  v->VisitRate({.key = "down",
                .meaning = "Rate of the link towards the device.",
                .default_text = "no limit"},
               &link->down_bps);
  v->Visit({.key = "half_duplex",
            .meaning = "Both ways share `up`, as on a radio channel; `down` is left out then."},
           &link->half_duplex);
  if (!in_segment) {
    v->Visit({.key = "segment",
              .meaning = "The shared medium behind the link, a `[segment.NAME]`.",
              .default_text = "none"},
             &link->segment);
  }
  v->Visit({.key = "latency", .meaning = "One way."}, &link->latency);
  v->Visit({.key = "jitter", .meaning = "More latency, uniform between 0 and this."},
           &link->jitter);
  v->Visit({.key = "loss", .meaning = "Share of packets that are lost.", .min = 0, .max = 0.5},
           &link->loss);
  v->Visit(
      {.key = "duplication", .meaning = "Share of packets that come twice.", .min = 0, .max = 0.5},
      &link->duplication);
  v->Visit({.key = "reordering",
            .meaning = "Share of packets that come late, behind their successors.",
            .min = 0,
            .max = 0.5},
           &link->reordering);
}

void VisitAvailability(DeviceGroup* group, ScenarioVisitor* v) {
  sim::AvailabilityOptions& availability = group->device.availability;
  v->Visit(
      {.key = "availability",
       .meaning =
           "When a device is switched on: `always`; `exponential`: on and off for "
           "times without memory, of mean `mean_up` and `mean_down`; `diurnal`: the "
           "same, with times off such that the share of devices that are on follows "
           "the hour of the day; `trace:FILE`: lines `device,from_s,until_s`, of which a device "
           "takes those with its name."},
      &group->availability);
  v->Visit({.key = "mean_up",
            .meaning = "Mean time switched on (`exponential`, `diurnal`).",
            .default_text = "none"},
           &availability.mean_up);
  v->Visit({.key = "mean_down",
            .meaning = "Mean time switched off (`exponential`).",
            .default_text = "none"},
           &availability.mean_down);
  v->Visit({.key = "least_share",
            .meaning = "Share of devices that are on at the quietest hour (`diurnal`).",
            .min = 0.001,
            .max = 0.999},
           &availability.least_share);
  v->Visit({.key = "most_share",
            .meaning = "Share of devices that are on at the peak (`diurnal`).",
            .min = 0.001,
            .max = 0.999},
           &availability.most_share);
  v->Visit({.key = "peak", .meaning = "Hour of the virtual day of the peak (`diurnal`)."},
           &availability.peak);
}

void VisitProcessFaults(sim::FaultOptions* faults, ScenarioVisitor* v) {
  v->Visit({.key = "break_connection", .meaning = "A connection breaks."},
           &faults->break_connection);
  v->Visit({.key = "silent_break",
            .meaning = "Share of breaks of which the coordinator is not told, as when power fails.",
            .min = 0,
            .max = 1},
           &faults->silent_break);
  v->Visit({.key = "kill_device",
            .meaning = "A device's process is killed; another starts in its place."},
           &faults->kill_device);
  v->Visit({.key = "kill_coordinator",
            .meaning = "The coordinator's process is killed; it starts again from its disk."},
           &faults->kill_hub);
  v->Visit({.key = "join_device", .meaning = "One more device joins, like one that is there."},
           &faults->join_device);
  v->Visit({.key = "leave_device", .meaning = "A device leaves for good, having said so."},
           &faults->leave_device);
  v->Visit(
      {.key = "most_down", .meaning = "Most time before a killed device's replacement starts."},
      &faults->most_down);
  v->Visit({.key = "crash_device",
            .meaning = "Share of messages and alarms over which a device's process dies midway.",
            .min = 0,
            .max = 1},
           &faults->crash_device);
  v->Visit(
      {.key = "crash_coordinator", .meaning = "The same of the coordinator.", .min = 0, .max = 1},
      &faults->crash_hub);
}

void VisitNetworkFaults(sim::FaultOptions* faults, ScenarioVisitor* v) {
  v->Visit({.key = "partition", .meaning = "Nothing passes a device's link for a while."},
           &faults->partition);
  v->Visit({.key = "one_way",
            .meaning = "Share of partitions that cut one way only.",
            .min = 0,
            .max = 1},
           &faults->one_way);
  v->Visit({.key = "partition_length", .meaning = "Mean length of a partition."},
           &faults->partition_length);
  v->Visit({.key = "clog", .meaning = "A device's link passes a thousandth for a while."},
           &faults->clog);
  v->Visit({.key = "clog_length", .meaning = "Mean length of that."}, &faults->clog_length);
  v->Visit({.key = "repeat_message",
            .meaning = "Share of messages that come twice, beyond what TCP does.",
            .min = 0,
            .max = 1},
           &faults->repeat_message);
  v->Visit({.key = "reorder_message",
            .meaning = "Share of messages with a payload that later ones overtake.",
            .min = 0,
            .max = 1},
           &faults->reorder_message);
}

void VisitDiskFaults(sim::FaultOptions* faults, ScenarioVisitor* v) {
  v->Visit({.key = "disk_full",
            .meaning = "Share of writes to the coordinator's disk that find it full.",
            .min = 0,
            .max = 1},
           &faults->disk_full);
  v->Visit({.key = "disk_error", .meaning = "Share of writes that fail (EIO).", .min = 0, .max = 1},
           &faults->disk_error);
  v->Visit({.key = "torn_write",
            .meaning = "Share of crashes during a write that leave half of the file.",
            .min = 0,
            .max = 1},
           &faults->torn_write);
  v->Visit({.key = "disk_write_time", .meaning = "Time of a write."}, &faults->disk_write_time);
  v->Visit({.key = "unreadable_data",
            .meaning = "Share of devices that cannot read their data and so compute nothing.",
            .min = 0,
            .max = 1},
           &faults->unreadable_data);
}

}  // namespace

void VisitScenario(Scenario* scenario, ScenarioVisitor* v) {
  v->Visit({.key = "title", .meaning = "A line for people.", .default_text = "none"},
           &scenario->title);
  v->Visit({.key = "mode",
            .meaning = "`cost`: time and bytes are modelled and nothing is computed; `math`: the "
                       "devices really train the network, in virtual time.",
            .choices = {"cost", "math"}},
           &scenario->mode);
  v->Visit({.key = "limit", .meaning = "Virtual time after which the run is given up."},
           &scenario->limit);
  v->Visit({.key = "seed",
            .meaning = "Of all chance in the scenario; the job has its own.",
            .min = 0,
            .max = kMaxSeed},
           &scenario->seed);
  v->Visit({.key = "job",
            .meaning = "A job file; else the job's tables stand in this file.",
            .default_text = "this file",
            .path = PathKind::kFile},
           &scenario->job_file);
  v->Visit({.key = "samples",
            .meaning = "Samples of one epoch in mode `cost`, instead of opening the data; "
                       "`data.train` may then be left out, and is `synthetic:shapes` of as many "
                       "samples where real processes run the scenario; 0: open the data.",
            .min = 0,
            .max = 1e9},
           &scenario->samples);
  v->Visit({.key = "pieces",
            .meaning = "Pieces at most in which a payload passes a link: fewer are faster to "
                       "simulate, as for thousands of devices, more share a link more finely.",
            .min = 1,
            .max = 1024},
           &scenario->pieces);
  v->Visit({.key = "unfairness",
            .meaning = "How unequally payloads share a link, as TCP flows do for seconds: their "
                       "shares differ by up to so much of the mean either way; 0: equally.",
            .min = 0,
            .max = 0.9},
           &scenario->unfairness);
  v->Visit({.key = "start_workers",
            .meaning = "Devices that the first step waits for; 0: all that are `always` on, or "
                       "if there are none, half of those that are on at the start.",
            .min = 0,
            .max = 1e5},
           &scenario->start_workers);
}

void VisitCoordinator(CoordinatorOptions* coordinator, ScenarioVisitor* v) {
  v->Visit({.key = "speed",
            .meaning = "Of its processor, against the one that the costs below are for.",
            .min = 0.001,
            .max = 1000},
           &coordinator->speed);
  v->Visit({.key = "cores",
            .meaning = "That real processes may use (lab); modelled is one message after another.",
            .min = 1,
            .max = 1024},
           &coordinator->cores);
  constexpr std::string_view kFromModel = "from the model's size";
  v->Visit({.key = "message_seconds",
            .meaning = "Processor time for any message.",
            .min = 0,
            .max = kMostSeconds,
            .default_text = "`2e-05`"},
           &coordinator->message_seconds);
  v->Visit({.key = "push_seconds",
            .meaning = "More to decode an update and add it up.",
            .min = 0,
            .max = kMostSeconds,
            .default_text = kFromModel},
           &coordinator->push_seconds);
  v->Visit({.key = "apply_seconds",
            .meaning = "More at the end of a step: optimizer, and packing the parameters.",
            .min = 0,
            .max = kMostSeconds,
            .default_text = kFromModel},
           &coordinator->apply_seconds);
  v->Visit({.key = "send_seconds",
            .meaning = "More for each set of parameters sent.",
            .min = 0,
            .max = kMostSeconds,
            .default_text = kFromModel},
           &coordinator->send_seconds);
  v->Visit({.key = "site",
            .meaning = "Where it stands (`weft up --site`): devices of this site send their "
                       "updates straight."},
           &coordinator->site);
  v->Visit({.key = "restart", .meaning = "Least time from a crash to the next start."},
           &coordinator->restart);
  VisitLink(&coordinator->link, false, v);
}

void VisitDevice(DeviceGroup* group, ScenarioVisitor* v) {
  sim::DeviceOptions& device = group->device;
  v->Visit({.key = "count",
            .meaning = "Devices that are alike, called `NAME-0`, `NAME-1`, ...; 0: one, called "
                       "`NAME`.",
            .min = 0,
            .max = 1e5},
           &group->count);
  v->Visit({.key = "speed",
            .meaning = "Against the device of the profile, or of `seconds_per_sample`.",
            .min = 0.001,
            .max = 1000},
           &device.speed);
  v->Visit({.key = "load",
            .meaning = "Share of the processor that other programs take.",
            .min = 0,
            .max = 0.99},
           &device.load);
  v->Visit({.key = "cores",
            .meaning = "That it computes with; a profile's times are taken to scale from the "
                       "threads it was measured with.",
            .min = 1,
            .max = 1024},
           &device.cores);
  v->Visit({.key = "memory", .meaning = "A lease that needs more cannot be computed; 0: no limit."},
           &group->memory);
  v->Visit({.key = "storage",
            .meaning = "For samples that the coordinator feeds (`data.placement = "
                       "\"distributed\"`); 0: no limit."},
           &group->storage);
  v->Visit({.key = "profile",
            .meaning = "A file of `weft profile`, from which the time of a lease is predicted.",
            .default_text = "that of `--profile`",
            .path = PathKind::kFile},
           &group->profile);
  v->Visit({.key = "seconds_per_sample",
            .meaning = "Time to compute a sample, instead of a profile.",
            .min = 0,
            .max = kMostSeconds,
            .default_text = "from the profile"},
           &group->seconds_per_sample);
  v->Visit({.key = "seconds_per_lease",
            .meaning = "More for each lease: unpacking parameters, packing the gradient.",
            .min = 0,
            .max = kMostSeconds,
            .default_text = "from the model's size"},
           &group->seconds_per_lease);
  v->Visit({.key = "start_seconds",
            .meaning = "From being switched on to calling the coordinator, at speed 1.",
            .min = 0,
            .max = kMostSeconds},
           &device.start_seconds);
  v->Visit({.key = "open_seconds",
            .meaning = "From being admitted to the first lease, at speed 1: data and model.",
            .min = 0,
            .max = kMostSeconds},
           &device.open_seconds);
  v->Visit({.key = "warmup_seconds",
            .meaning = "More for the first lease of a process, at speed 1: its plan and kernels.",
            .min = 0,
            .max = kMostSeconds},
           &device.warmup_seconds);
  v->Visit({.key = "plan_seconds",
            .meaning = "More for a lease of a size that is new to the device, at speed 1.",
            .min = 0,
            .max = kMostSeconds},
           &device.plan_seconds);
  v->Visit({.key = "spread",
            .meaning = "A lease takes so much more or less of its time, uniform.",
            .min = 0,
            .max = 0.99},
           &device.spread);
  v->Visit({.key = "slowdown",
            .meaning = "Episodes, on average every `every` and `for` so long, in which the device "
                       "has `factor` of its speed: `{every = \"10m\", for = \"30s\", factor = "
                       "0.5}`."},
           &device.slowdown);
  v->Visit(
      {.key = "can_lead",
       .meaning = "Other devices can reach it, so it may lead a part of the parameters; `false`: "
                  "it speaks with the coordinator only."},
      &device.can_lead);
  v->Visit({.key = "site",
            .meaning = "Where it stands, as its owner says (`weft join --site`): devices of one "
                       "site may send their updates as one sum. Empty: not said."},
           &device.site);
  VisitAvailability(group, v);
  VisitLink(&device.link, false, v);
}

void VisitSegment(sim::SegmentOptions* segment, ScenarioVisitor* v) {
  v->Visit({.key = "gateway",
            .meaning = "It is the way out of a site: what devices behind it send to each other "
                       "does not pass it."},
           &segment->gateway);
  VisitLink(&segment->link, true, v);
}

void VisitFaults(sim::FaultOptions* faults, ScenarioVisitor* v) {
  VisitProcessFaults(faults, v);
  VisitNetworkFaults(faults, v);
  VisitDiskFaults(faults, v);
  v->Visit({.key = "until", .meaning = "Virtual time after which all is quiet."}, &faults->until);
}

void VisitEvent(sim::ScheduledEvent* event, std::string* kind, ScenarioVisitor* v) {
  v->Visit({.key = "at", .meaning = "Virtual time.", .required = true}, &event->at);
  v->Visit(
      {.key = "do",
       .meaning = "`kill`: the process dies; `start`: it starts again; `leave`: it leaves, "
                  "having said so; `cut`, `cut-up`, `cut-down`: its link passes nothing, or "
                  "nothing that way; `heal`: it does again; `clog`: it passes a thousandth; "
                  "`unclog`: all again.",
       .choices = {"kill", "start", "leave", "cut", "cut-up", "cut-down", "heal", "clog", "unclog"},
       .required = true},
      kind);
  v->Visit({.key = "device", .meaning = "A device by its name.", .default_text = "the coordinator"},
           &event->device);
}

void VisitExpectations(Expectations* expect, ScenarioVisitor* v) {
  constexpr std::string_view kNone = "none";
  v->Visit({.key = "completed",
            .meaning = "`true`: all epochs are trained within `scenario.limit`; `false`: they "
                       "need not be."},
           &expect->completed);
  v->Visit({.key = "lost", .meaning = "Most samples that were not counted.", .min = 0, .max = 1e18},
           &expect->lost);
  v->Visit({.key = "duplicated",
            .meaning = "Most samples that were counted twice.",
            .min = 0,
            .max = 1e18},
           &expect->duplicated);
  v->Visit({.key = "max_violations",
            .meaning = "Most broken promises that the checkers find.",
            .min = 0,
            .max = 1e9},
           &expect->max_violations);
  v->Visit(
      {.key = "max_virtual", .meaning = "Most virtual time of the run.", .default_text = kNone},
      &expect->max_virtual);
  v->Visit({.key = "max_training",
            .meaning = "Most virtual time since the first step began.",
            .default_text = kNone},
           &expect->max_training);
  v->Visit({.key = "max_epoch_seconds",
            .meaning = "Most virtual seconds of the slowest epoch.",
            .min = 0,
            .max = kMostSeconds,
            .default_text = kNone},
           &expect->max_epoch_seconds);
  v->Visit({.key = "min_samples_per_second",
            .meaning = "Least samples applied in a virtual second of training.",
            .min = 0,
            .max = 1e15,
            .default_text = kNone},
           &expect->min_samples_per_second);
  v->Visit({.key = "min_utilisation",
            .meaning = "Least share of the devices' time switched on in which they compute, mean.",
            .min = 0,
            .max = 1,
            .default_text = kNone},
           &expect->min_utilisation);
  v->Visit({.key = "max_recomputed_share",
            .meaning = "Most samples computed for nothing, as a share of those applied.",
            .min = 0,
            .max = 1e6,
            .default_text = kNone},
           &expect->max_recomputed_share);
  v->Visit({.key = "min_accuracy",
            .meaning = "Least accuracy on the test data at the end (mode `math`).",
            .min = 0,
            .max = 1,
            .default_text = kNone},
           &expect->min_accuracy);
  v->Visit({.key = "max_loss",
            .meaning = "Most loss on the test data at the end (mode `math`).",
            .min = 0,
            .max = 1e9,
            .default_text = kNone},
           &expect->max_loss);
}

}  // namespace weft::config
