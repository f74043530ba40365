#ifndef SINKWATCH_SERVER_REFERENCES_REFERENCE_SHELF_H_
#define SINKWATCH_SERVER_REFERENCES_REFERENCE_SHELF_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/base/mutex.h"
#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::references {

// Tables of published numbers: those that are shipped, and those that were
// added, which are files NAME.csv in a folder. Thread-safe.
class ReferenceShelf {
 public:
  // Reads what lies in `folder`, which is made when something is added. Empty:
  // what is added is kept in memory (tests). A file that is no such table is
  // logged, and who asks for it is told why there is none.
  static absl::StatusOr<std::unique_ptr<ReferenceShelf>> Open(
      const std::string& folder);

  // Keeps a table, in place of the one of that name; on disk when it returns.
  // How many points it has. INVALID_ARGUMENT as ParseReference,
  // FAILED_PRECONDITION for the name of a shipped one, RESOURCE_EXHAUSTED above
  // 100 tables.
  absl::StatusOr<int64_t> Add(const std::string& name, const std::string& csv);
  // NOT_FOUND if there is none, FAILED_PRECONDITION for a shipped one.
  absl::Status Remove(const std::string& name);

  // The points that match; empty fields match all. NOT_FOUND for a reference
  // that there is not, with the nearest; INVALID_ARGUMENT for one whose file is
  // no table.
  absl::StatusOr<std::vector<v1::ReferencePoint>> Points(
      const std::string& reference, const std::string& model,
      const std::string& metric) const;

 private:
  explicit ReferenceShelf(std::string folder) : folder_(std::move(folder)) {}
  absl::Status ReadShipped();
  absl::Status ReadFolder();
  std::string PathOf(const std::string& name) const;

  const std::string folder_;
  mutable base::Mutex mutex_;
  // By name; of the shipped ones `shipped`.
  struct Table {
    bool shipped = false;
    std::vector<v1::ReferencePoint> points;
    absl::Status why_none;  // if its file cannot be read
  };
  std::map<std::string, Table> tables_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sinkwatch::references

#endif  // SINKWATCH_SERVER_REFERENCES_REFERENCE_SHELF_H_
