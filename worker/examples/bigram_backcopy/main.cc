// bigram_backcopy: trains the paper's toy model and writes checkpoints, for a
// sinkwatch server to find.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ATen/Parallel.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "proto/base/stop_signal.h"
#include "worker/examples/bigram_backcopy/preset.h"
#include "worker/examples/bigram_backcopy/toy_probe.h"
#include "worker/examples/bigram_backcopy/trainer.h"

ABSL_FLAG(std::string, preset, "adam", "what to train; see above");
ABSL_FLAG(uint64_t, seed, 42, "of weights and batches");
ABSL_FLAG(int64_t, steps, 0, "training steps; 0 for the preset's");
ABSL_FLAG(double, lr, 0, "learning rate; 0 for the preset's");
ABSL_FLAG(std::vector<std::string>, checkpoints, {},
          "steps to write, as --checkpoints=0,100,800; empty for the preset's");
ABSL_FLAG(std::string, out, "",
          "folder to write step folders to, as --out=runs/toy");
ABSL_FLAG(double, pace, 0,
          "seconds to wait before each checkpoint but the first");
ABSL_FLAG(std::string, probe_out, "",
          "folder to write the probe to, as --probe_out=runs/probe");
ABSL_FLAG(bool, probe_only, false, "write the probe and end");
ABSL_FLAG(int64_t, probe_sequences, 128,
          "sequences of each domain of the probe");

namespace sinkwatch::bigram_backcopy {
namespace {

constexpr int kBadUsage = 2;

std::atomic<bool> stop_asked{false};

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "bigram_backcopy: %s\n",
               std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? kBadUsage : 1;
}

absl::StatusOr<Preset> PresetFromFlags() {
  auto preset = FindPreset(absl::GetFlag(FLAGS_preset));
  if (!preset.ok()) return preset;
  if (absl::GetFlag(FLAGS_steps) > 0) {
    preset->steps = absl::GetFlag(FLAGS_steps);
  }
  if (absl::GetFlag(FLAGS_lr) > 0) {
    preset->learning_rate = absl::GetFlag(FLAGS_lr);
  }
  const std::vector<std::string> listed = absl::GetFlag(FLAGS_checkpoints);
  if (!listed.empty()) preset->checkpoints.clear();
  for (const std::string& text : listed) {
    int64_t step = 0;
    if (!absl::SimpleAtoi(text, &step) || step < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--checkpoints: \"", text, "\" is no step"));
    }
    preset->checkpoints.push_back(step);
  }
  return preset;
}

// In short steps, so that a signal is heard.
void Wait(double seconds) {
  const absl::Time end = absl::Now() + absl::Seconds(seconds);
  while (!stop_asked && absl::Now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

class Training {
 public:
  Training(Preset preset, std::unique_ptr<Trainer> trainer)
      : preset_(std::move(preset)),
        trainer_(std::move(trainer)),
        domains_(ToyDomains(absl::GetFlag(FLAGS_probe_sequences))),
        wanted_(preset_.checkpoints.begin(), preset_.checkpoints.end()) {}

  absl::Status Run() {
    double loss = 0;
    for (int64_t step = 0; step <= preset_.steps && !stop_asked; ++step) {
      if (wanted_.count(step) != 0) {
        if (step > *wanted_.begin()) Wait(absl::GetFlag(FLAGS_pace));
        absl::Status status = Write(step, loss);
        if (!status.ok()) return status;
      }
      if (step < preset_.steps) loss = trainer_->Step();
      if (step % 10 == 0 || step == preset_.steps) Show(step, loss);
    }
    if (terminal_) std::fprintf(stderr, "\n");
    return absl::OkStatus();
  }

 private:
  absl::Status Write(int64_t step, double loss) {
    absl::Status status =
        trainer_->Save(absl::StrCat(absl::GetFlag(FLAGS_out), "/step", step));
    if (!status.ok()) return status;
    nlohmann::ordered_json line;
    line["step"] = step;
    line["train_loss"] = step == 0 ? nlohmann::ordered_json(nullptr)
                                   : nlohmann::ordered_json(loss);
    for (const probe::Domain& domain : domains_) {
      line["probe_loss"][domain.label] = trainer_->Loss(domain.tokens_NT);
    }
    std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
    return absl::OkStatus();
  }

  // A line that is written over on a terminal, one per tenth elsewhere.
  void Show(int64_t step, double loss) {
    const int tenth =
        static_cast<int>(10 * step / std::max<int64_t>(1, preset_.steps));
    if (!terminal_ && tenth == shown_) return;
    shown_ = tenth;
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start_);
    std::fprintf(
        stderr, "%straining %s: step %lld of %lld, loss %.4f, %.0f steps/s%s",
        terminal_ ? "\r" : "", preset_.name.c_str(),
        static_cast<long long>(step), static_cast<long long>(preset_.steps),
        loss, step / std::max(seconds, 1e-3), terminal_ ? "  " : "\n");
  }

  const Preset preset_;
  const std::unique_ptr<Trainer> trainer_;
  const std::vector<probe::Domain> domains_;
  const std::set<int64_t> wanted_;
  const absl::Time start_ = absl::Now();
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  int shown_ = -1;
};

int Train() {
  const auto preset = PresetFromFlags();
  if (!preset.ok()) return Complain(preset.status());
  if (absl::GetFlag(FLAGS_out).empty()) {
    return Complain(
        absl::InvalidArgumentError("--out is missing (see --help)"));
  }
  auto trainer = Trainer::Create(*preset, absl::GetFlag(FLAGS_seed));
  if (!trainer.ok()) return Complain(trainer.status());
  const absl::Status status = Training(*preset, *std::move(trainer)).Run();
  return status.ok() ? 0 : Complain(status);
}

std::string Usage() {
  std::string text =
      "trains a toy model on the Bigram-Backcopy task.\n\n"
      "  bigram_backcopy --preset=adam --out=runs/toy\n"
      "  bigram_backcopy --probe_only --probe_out=runs/probe\n\n"
      "A JSON line on standard output for each checkpoint. Presets:\n";
  for (const Preset& preset : Presets()) {
    absl::StrAppend(&text, "  ", preset.name, ": ", preset.shows, "\n");
  }
  return text;
}

bool IsOwnFile(absl::string_view file) {
  return absl::StrContains(file, "bigram_backcopy/");
}

int Run(int argc, char** argv) {
  absl::SetProgramUsageMessage(Usage());
  absl::FlagsUsageConfig config;
  config.contains_helpshort_flags = IsOwnFile;
  config.contains_help_flags = IsOwnFile;
  absl::SetFlagsUsageConfig(config);
  absl::ParseCommandLine(argc, argv);
  base::StopSignal signals;
  const base::StopListener listener(signals, [] { stop_asked = true; });
  // Matrices of this size are slower on two threads than on one.
  at::set_num_threads(1);
  const std::string probe = absl::GetFlag(FLAGS_probe_out);
  if (!probe.empty()) {
    const absl::Status status =
        WriteToyProbe(probe, absl::GetFlag(FLAGS_probe_sequences));
    if (!status.ok()) return Complain(status);
  }
  return absl::GetFlag(FLAGS_probe_only) ? 0 : Train();
}

}  // namespace
}  // namespace sinkwatch::bigram_backcopy

int main(int argc, char** argv) {
  return sinkwatch::bigram_backcopy::Run(argc, argv);
}
