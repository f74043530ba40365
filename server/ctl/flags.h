#ifndef SINKWATCH_SERVER_CTL_FLAGS_H_
#define SINKWATCH_SERVER_CTL_FLAGS_H_

#include <string>

#include "proto/base/command_line.h"

// Flags that commands of several files take.
namespace sinkwatch::ctl {

inline base::FlagSpec Stage() {
  return base::FlagSpec{"stage", "NAME",
                        "stage of the run; default: its only one"}
      .Example("stage1");
}

inline base::FlagSpec Domain() {
  return base::FlagSpec{"domain", "NAME",
                        "text domain of the probe; default: its only one"}
      .Example("train");
}

inline base::FlagSpec Step() {
  return base::FlagSpec{"step", "N", "default: the latest"}
      .Of(base::ValueKind::kWhole)
      .Example("1000");
}

// How many of something; 0 means all of it.
inline base::FlagSpec Limit(const std::string& help,
                            const std::string& fallback,
                            const std::string& example) {
  return base::FlagSpec{"limit", "N", help}
      .Of(base::ValueKind::kWhole)
      .Default(fallback)
      .Example(example);
}

// How far an own value may be from a published one.
inline base::FlagSpec Relative() {
  return base::FlagSpec{"relative", "X",
                        "share of the published value; 0 and no other: .05"}
      .Of(base::ValueKind::kNumber)
      .Default("0")
      .Example(".1");
}

inline base::FlagSpec Absolute() {
  return base::FlagSpec{"absolute", "X", "tolerance beside it"}
      .Of(base::ValueKind::kNumber)
      .Default("0")
      .Example(".02");
}

inline base::FlagSpec All() {
  return {"all", "", "every column, however wide"};
}

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_FLAGS_H_
