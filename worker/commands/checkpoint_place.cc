#include "worker/commands/checkpoint_place.h"

#include <cstdint>
#include <filesystem>

#include "proto/base/step_name.h"

namespace sinkwatch::worker {
namespace {

namespace fs = std::filesystem;

int64_t StepOf(const std::string& name) {
  const auto parsed = base::ParseStepName(name);
  return parsed.has_value() ? parsed->step : -1;
}

}  // namespace

v1::Checkpoint PlaceOf(const std::string& path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (!absolute.has_filename()) absolute = absolute.parent_path();
  v1::Checkpoint place;
  place.set_path(absolute.string());
  place.set_run(absolute.parent_path().filename().string());
  place.set_step(StepOf(absolute.filename().string()));
  return place;
}

}  // namespace sinkwatch::worker
