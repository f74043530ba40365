// plant_pair DATA_DIR: a store with the made-up pair of runs "late" and "early"
// (planted_runs_testing.h), to ask a real server about them.
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "server/query/planted_runs_testing.h"
#include "server/store/store.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: plant_pair DATA_DIR\n");
    return 2;
  }
  std::error_code error;
  std::filesystem::create_directories(argv[1], error);
  sinkwatch::store::StoreOptions options;
  options.path = (std::filesystem::path(argv[1]) / "sinkwatch.db").string();
  auto store = sinkwatch::store::Store::Open(options);
  const absl::Status status =
      store.ok() ? sinkwatch::query::PlantPair(**store) : store.status();
  if (status.ok()) return 0;
  std::fprintf(stderr, "plant_pair: %s\n", status.ToString().c_str());
  return 1;
}
