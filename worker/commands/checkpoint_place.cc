#include "worker/commands/checkpoint_place.h"

#include <cctype>
#include <cstdint>
#include <filesystem>

#include "absl/strings/numbers.h"

namespace sinkwatch::worker {
namespace {

namespace fs = std::filesystem;

int64_t StepOf(const std::string& name) {
  for (const std::string prefix : {"step", "checkpoint"}) {
    size_t begin = name.find(prefix);
    if (begin == std::string::npos) continue;
    begin += prefix.size();
    if (begin < name.size() && (name[begin] == '-' || name[begin] == '_')) {
      ++begin;
    }
    size_t end = begin;
    while (end < name.size() &&
           std::isdigit(static_cast<unsigned char>(name[end]))) {
      ++end;
    }
    int64_t step = -1;
    if (absl::SimpleAtoi(name.substr(begin, end - begin), &step)) return step;
  }
  return -1;
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
