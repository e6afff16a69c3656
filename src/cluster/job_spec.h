#pragma once
// JobSpec: what the coordinator and the leader must know of a job. They never see its data or its
// layers.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "aggregate/options.h"
#include "base/clock.h"
#include "base/status.h"
#include "cluster/message.h"
#include "cluster/policy_options.h"
#include "codec/codec.h"
#include "engine/optimizer.h"
#include "engine/schedule.h"

namespace weft::cluster {

// Whether the devices of a site send one sum through a relay: where steps have turned out shorter
// with it, or in any case, or never.
enum class SiteSums : uint8_t { kAuto, kAlways, kNever };

struct JobSpec {
  std::string run;    // id of the run
  std::string token;  // what a worker must show; empty: any
  std::string job;    // handed to every worker as it is (Welcome)
  std::string model;

  int64_t samples = 0;  // of one epoch
  int64_t epochs = 1;
  int64_t batch = 0;  // global; an epoch's last step takes what is left

  // Deterministic: every step has `slots` leases whoever is there, summed in slot order, so that
  // the result does not depend on the devices. Otherwise one lease a living worker.
  bool deterministic = false;
  int64_t slots = 1;
  // Samples of each slot of a full batch (then there are always that many slots); empty: equal.
  std::vector<int64_t> shares;

  int64_t checkpoint_every = 0;  // steps; epochs and runs end with a checkpoint in any case
  bool pause_for_eval = false;   // after each epoch wait for Coordinator::Continue or StopEarly
  int64_t start_workers = 1;     // the first step waits until so many have joined

  int64_t heartbeat_ms = 500;
  int64_t device_timeout_ms = 5000;  // silent for so long: its leases go to others

  engine::ScheduleOptions schedule;
  engine::OptimizerOptions optimizer;
  int64_t trainable_count = 0;                       // of the flat vector
  std::vector<engine::StatisticStretch> statistics;  // the rest of it
  codec::CodecOptions codec_up;                      // of gradients
  codec::CodecOptions codec_down;                    // of parameters

  double link_budget = 0.1;  // of codec "auto": communication over computing, at most

  aggregate::Options aggregation;
  PolicyOptions policy;  // where aggregation.automatic
  // Shares of a step follow the devices' speeds; otherwise they are equal. Not read where `shares`
  // or `deterministic` say what they are.
  bool share_by_speed = true;
  // Devices that lead a range each; 0: as many as pay; 1: the coordinator's process leads all of
  // it.
  int64_t leaders = 1;
  int64_t least_range = 4096;  // values of a range that a device leads, at least
  double value_weight = 1;     // of a model's values that each of the vector's stands for (sim/)
  // Where stretches of the vector begin, but the first, whose gradients are final at times of their
  // own: each leader leads a part of every stretch. Empty: none are told apart.
  std::vector<int64_t> stretch_begins;
  // Local placement: samples of each part of the data set that stands for a device's own; empty:
  // every device may compute any sample. Positions of an epoch are those of the parts in order.
  std::vector<int64_t> shard_samples;
  // Samples are fed by the store to devices that do not hold them: bytes of one; 0: they all do.
  int64_t fed_sample_bytes = 0;

  SiteSums site_sums = SiteSums::kAuto;
  std::string site;  // where the coordinator's process stands; empty: not said

  // Of the coordinator's process: leads what no other device does, and writes checkpoints.
  Address leader = {kCoordinatorDevice, Role::kLeader};

  int64_t parameter_count() const;
  // Where a packet of values from `begin` on stands that were computed with this version.
  codec::Place PlaceOf(int64_t begin, int64_t version) const;
};

// The devices add up momentum before they choose what to send, and the leader adds none: where the
// codec leaves values out, and the updates are gradients.
// Source: Lin et al. 2018, Deep Gradient Compression, section 3.2.
bool CorrectsMomentum(const codec::CodecOptions& up, const aggregate::Options& aggregation,
                      const engine::OptimizerOptions& optimizer);

// What packets of a run say it is.
uint64_t RunTag(const std::string& run);

// What a Grant or BeginStep says is to be sent; nothing: as the job's codec does.
std::optional<codec::Target> TargetOf(double density, uint8_t value_kind);

// Errors: kInvalidArgument, "field: got X, want Y".
Status Validate(const JobSpec& spec);

}  // namespace weft::cluster
