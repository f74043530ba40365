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
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "proto/base/command_help.h"
#include "proto/base/command_line.h"
#include "proto/base/stop_signal.h"
#include "worker/examples/bigram_backcopy/preset.h"
#include "worker/examples/bigram_backcopy/program.h"
#include "worker/examples/bigram_backcopy/toy_probe.h"
#include "worker/examples/bigram_backcopy/trainer.h"

namespace sinkwatch::bigram_backcopy {
namespace {

constexpr int kBadUsage = 2;

std::atomic<bool> stop_asked{false};

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "bigram_backcopy: %s\n",
               std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? kBadUsage : 1;
}

absl::StatusOr<Preset> PresetOf(const base::Arguments& args) {
  auto preset = FindPreset(args.Get("preset"));
  if (!preset.ok()) return preset;
  if (args.Int("steps") > 0) preset->steps = args.Int("steps");
  if (args.Number("lr") > 0) preset->learning_rate = args.Number("lr");
  preset->freeze = args.List("freeze");
  preset->freeze_from = args.Int("freeze_from");
  const std::vector<std::string> listed = args.List("checkpoints");
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
  Training(const base::Arguments& args, Preset preset,
           std::unique_ptr<Trainer> trainer)
      : preset_(std::move(preset)),
        trainer_(std::move(trainer)),
        out_(args.Get("out")),
        pace_(args.Number("pace")),
        domains_(ToyDomains(args.Int("probe_sequences"), preset_.bos)),
        wanted_(preset_.checkpoints.begin(), preset_.checkpoints.end()) {}

  absl::Status Run() {
    double loss = 0;
    for (int64_t step = 0; step <= preset_.steps && !stop_asked; ++step) {
      if (wanted_.count(step) != 0) {
        if (step > *wanted_.begin()) Wait(pace_);
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
    absl::Status status = trainer_->Save(absl::StrCat(out_, "/step", step));
    if (!status.ok()) return status;
    nlohmann::ordered_json line;
    line["step"] = step;
    line["train_loss"] = step == 0 ? nlohmann::ordered_json(nullptr)
                                   : nlohmann::ordered_json(loss);
    for (const probe::Domain& domain : domains_) {
      line["probe_loss"][domain.label] = trainer_->Loss(domain.tokens_NT);
      line["oracle_loss"][domain.label] = OracleLoss(domain);
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
  const std::string out_;
  const double pace_;  // seconds
  const std::vector<probe::Domain> domains_;
  const std::set<int64_t> wanted_;
  const absl::Time start_ = absl::Now();
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  int shown_ = -1;
};

int Train(const base::Arguments& args) {
  auto preset = PresetOf(args);
  if (!preset.ok()) return Complain(preset.status());
  if (args.Get("out").empty()) {
    return Complain(
        absl::InvalidArgumentError("--out is missing (see --help)"));
  }
  auto trainer =
      Trainer::Create(*preset, static_cast<uint64_t>(args.Int("seed")));
  if (!trainer.ok()) return Complain(trainer.status());
  const absl::Status status =
      Training(args, *std::move(preset), *std::move(trainer)).Run();
  return status.ok() ? 0 : Complain(status);
}

int Run(const base::Arguments& args) {
  base::StopSignal signals;
  const base::StopListener listener(signals, [] { stop_asked = true; });
  // Matrices of this size are slower on two threads than on one.
  at::set_num_threads(1);
  if (args.Has("probe_out")) {
    const auto preset = FindPreset(args.Get("preset"));
    if (!preset.ok()) return Complain(preset.status());
    const absl::Status status = WriteToyProbe(
        args.Get("probe_out"), args.Int("probe_sequences"), preset->bos);
    if (!status.ok()) return Complain(status);
  }
  return args.Has("probe_only") ? 0 : Train(args);
}

}  // namespace
}  // namespace sinkwatch::bigram_backcopy

int main(int argc, char** argv) {
  namespace base = sinkwatch::base;
  namespace trainer = sinkwatch::bigram_backcopy;
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto arguments =
      base::Arguments::Parse(trainer::TrainerProgram(), words);
  if (const auto code =
          base::AnswerWithoutWork(trainer::TrainerProgram(), arguments)) {
    return *code;
  }
  return trainer::Run(*arguments);
}
