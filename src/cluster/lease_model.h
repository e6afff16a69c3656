#pragma once
// LeaseModel: how long a device takes for a lease, learnt from those it has computed: so much for
// any lease and so much for each sample.
//
// Fit. Least squares of the relative errors over the last leases, each forgotten a little more with
// every one that follows, robust as in Huber 1964 by reweighting (Holland and Welsch 1977): a lease
// that something else held up counts little. What the sizes of the leases tell of the ratio between
// the two costs is weighed against the ratio as it was last known, which begins as "all of it for
// samples": so leases of one size move both costs alike. Neither cost is below 0.
//
// Change. Two cumulative sums (Page 1954, Continuous inspection schemes) of the standardised,
// clipped errors of prediction, one for slower and one for faster. Clipping leaves it to three
// leases in a row, at least, to raise the alarm; then all from before them is forgotten. Twice as
// slow or fast is noticed with the third lease where single leases vary by 10 %, and where they
// vary by 20 % with the fourth of nine in ten; there a steady device raises an alarm about once in
// 30,000 leases, and below 10 % in none of a million. Changes of less than 15 %, or than the
// noise, are left to the forgetting.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft::cluster {

// Threads: one.
class LeaseModel {
 public:
  // A lease of so many samples was computed in so much time. The first one of a process also makes
  // plans and kernels: it is forgotten once there is a second. Nothing to learn from: ignored.
  void Add(int64_t samples, double seconds);

  // Seconds; 0 before the first lease.
  double Predict(int64_t samples) const;
  double lease_seconds() const { return count_ > 0 ? cost_.lease : 0; }
  double sample_seconds() const { return count_ > 0 ? cost_.sample : 0; }
  // Times that the speed turned out to be another one.
  int64_t changes() const { return changes_; }

 private:
  struct Measured {
    double samples = 0;
    double seconds = 0;
  };
  struct Cost {
    double lease = 0;
    double sample = 1;
    double At(double samples) const { return lease + sample * samples; }
  };
  // A cumulative sum, and how many leases it was above 0.
  struct Sum {
    double value = 0;
    size_t leases = 0;
    void Add(double z);
    bool alarm() const;
  };

  void Watch(const Measured& lease);
  double ErrorOfPrediction(const Measured& lease) const;
  void Fit();
  void ScaleToMedian();
  void Reweigh();

  std::vector<Measured> window_;  // oldest first
  int64_t count_ = 0;
  Cost cost_;
  Cost known_;          // when the sizes of leases last told the ratio
  double noise_ = 0.2;  // standard deviation of the relative error of one lease
  // Of the last fit: its weight in leases, its centre, and how sure it is of the share of `sample`
  // in the time of the mean lease (1 / variance).
  double weight_ = 0;
  double mean_samples_ = 0;
  double mean_seconds_ = 0;
  double sureness_ = 0;
  Sum slower_;
  Sum faster_;
  int64_t changes_ = 0;
};

}  // namespace weft::cluster
