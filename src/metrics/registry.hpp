// Metrics in Prometheus' terms. Each part names its metrics once, in its constructor, and keeps references: nothing is
// looked up by name afterwards. Values are plain numbers: they are written and rendered on the agent's one thread.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace yaks::metrics {
using labels = std::vector<std::pair<std::string, std::string>>;

class counter {
 public:
  void add(double n = 1) { value_ += n; }
  double value() const { return value_; }

 private:
  double value_ = 0;
};

class gauge {
 public:
  void set(double value) { value_ = value; }
  void add(double n) { value_ += n; }
  double value() const { return value_; }

 private:
  double value_ = 0;
};

// Upper bounds are inclusive; the last bucket, +Inf, is implied.
class histogram {
 public:
  explicit histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  void observe(double value, std::uint64_t times = 1);
  const std::vector<double>& bounds() const { return bounds_; }
  const std::vector<std::uint64_t>& counts() const { return counts_; }  // not cumulative; the last one is +Inf
  double sum() const { return sum_; }
  std::uint64_t count() const;

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;
  double sum_ = 0;
};

// 0.5 ms … 30 s, in seconds.
std::vector<double> latency_seconds_buckets();
// 1 KiB … 64 MiB, in bytes.
std::vector<double> bytes_buckets();

// References stay valid as long as the registry. Asking twice for the same name and labels answers the same metric. Asking
// for a name with another type or help text is a bug (checked).
class registry {
 public:
  registry();
  ~registry();
  counter& add_counter(std::string name, std::string help, labels with = {});
  gauge& add_gauge(std::string name, std::string help, labels with = {});
  histogram& add_histogram(std::string name, std::string help, std::vector<double> bounds, labels with = {});
  // A gauge that is read when somebody looks.
  void add_callback(std::string name, std::string help, std::function<double()> read, labels with = {});
  // Frees a labelled series (a topic that is gone). The reference that add_* gave is dead afterwards.
  void remove(const std::string& name, const labels& with);
  // Prometheus' text format, version 0.0.4.
  std::string text() const;

  enum class type { counter, gauge, histogram };
  struct series {
    const labels& with;
    double value = 0;                       // of a counter or a gauge
    const histogram* distribution = nullptr;  // of a histogram
  };
  struct family {
    const std::string& name;
    const std::string& help;
    type of;
    // Calls with each series, sorted by labels. May be called several times.
    std::function<void(const std::function<void(const series&)>&)> each;
  };
  // Every family that has series, sorted by name. What is called must not add or remove metrics.
  void visit(const std::function<void(const family&)>& see) const;
  // The series of one family; none where nobody has named it.
  void visit_series(const std::string& name, const std::function<void(const series&)>& see) const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};
}  // namespace yaks::metrics
