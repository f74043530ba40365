#ifndef SINKWATCH_SERVER_EXPORTER_PAGE_PLAN_H_
#define SINKWATCH_SERVER_EXPORTER_PAGE_PLAN_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "server/exporter/now_plane.h"
#include "server/exporter/sample_family.h"
#include "sinkwatch/v1/measurement.pb.h"

// The series that the page of now_plane.h could have, and which of them it has.
namespace sinkwatch::exporter {

// What a group holds. Within a run, also what is kept first when the cap bites;
// a histogram stands beside the quantiles of its metric.
enum class GroupKind {
  kFacts,
  kModelValues,
  kLayerValues,
  kQuantiles,
  kHistograms,
  kHeadValues,
};

// A quantile that is shown, and its label.
struct ShownQuantile {
  const char* text;
  double q;
};
inline constexpr ShownQuantile kShownQuantiles[] = {
    {"0", 0}, {"0.1", .1}, {"0.5", .5}, {"0.9", .9}, {"1", 1}};

// Series that are shown or left out together, not rendered yet.
struct Group {
  GroupKind kind = GroupKind::kFacts;
  int metric_order = 0;
  int64_t series = 0;
  std::vector<Sample> facts;  // of kFacts
  Labels labels;              // of the others
  std::vector<const v1::MetricVector*> vectors;
  const char* head_label = "";
};

Labels With(Labels labels, const char* name, std::string value);

// Groups of runs, each in a family. What they point to outlives it.
class PagePlan {
 public:
  // Only `runs` get series; one whose name is none is counted as dropped.
  PagePlan(const std::vector<std::string>& runs, const NowOptions& options);

  std::vector<std::string> Runs() const;
  bool Has(const std::string& run) const { return groups_.count(run) > 0; }

  // Of a run that it has: gauges that are no metric's.
  void AddFacts(const std::string& run, const std::string& name,
                const std::string& help, std::vector<Sample> samples);
  void AddFact(const std::string& run, const std::string& name,
               const std::string& help, const Labels& labels, double value);
  // Puts a group of a run that it has into the family `name`, which becomes
  // that of `metric`. If it belongs to another one already, the group is
  // dropped and counted.
  void AddGroup(const std::string& run, const v1::MetricDescriptor& metric,
                const std::string& name, const std::string& help,
                FamilyType type, Group group);
  // Counts series that no group has.
  void Drop(const char* reason, int64_t series);

  // Chooses what fits, and renders that.
  NowPage Render() &&;

 private:
  struct Family {
    std::string help;
    FamilyType type = FamilyType::kGauge;
    std::string meaning;  // what must agree for two runs to share the family
    std::vector<const Group*> shown;
  };
  struct Placed {
    Group group;
    Family* family;

    GroupKind Priority() const;
    bool operator<(const Placed& other) const;
  };

  // Keeps what fits; a run's groups are cut at the first that does not.
  void Select();
  void AppendRendered(const std::string& name, const Family& family);

  const NowOptions& options_;
  std::map<std::string, std::vector<Placed>> groups_;  // by run
  std::map<std::string, Family> families_;
  NowPage page_;
};

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_PAGE_PLAN_H_
