// What the ablation of 16 heads in three modes adds to a measurement within
// auto's budget: on the toy and on a model of 12 layers. The heads are listed,
// so that there are 16 whatever their states are; auto differs in the choice
// only.
//
// CPU time is that of the whole process, threads that read weights included.
// Interleaved, so that both sides see the same machine:
//
//   bazel build -c opt //worker/executor:ablation_benchmark
//   bazel-bin/worker/executor/ablation_benchmark --benchmark_repetitions=9
//       --benchmark_enable_random_interleaving=true
#include <memory>
#include <string>

#include "ATen/Parallel.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "nlohmann/json.hpp"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/checkpoint/writer.h"
#include "worker/executor/executor.h"
#include "worker/model/model_testing.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::executor {
namespace {

struct Size {
  int layers, heads, width, wide, vocabulary, sequences, tokens;
};

// The toy with as many heads as are ablated, and something like a small model.
constexpr Size kToy = {1, 16, 48, 192, 25, 128, 48};
constexpr Size kTwelveLayers = {12, 8, 256, 704, 4096, 64, 64};

class Run {
 public:
  explicit Run(const Size& size) {
    const nlohmann::json config = {
        {"architectures", {"LlamaForCausalLM"}},
        {"hidden_size", size.width},
        {"intermediate_size", size.wide},
        {"num_hidden_layers", size.layers},
        {"num_attention_heads", size.heads},
        {"num_key_value_heads", size.heads},
        {"head_dim", size.width / size.heads < 4 ? 4 : size.width / size.heads},
        {"vocab_size", size.vocabulary},
        {"max_position_embeddings", size.tokens},
        {"rms_norm_eps", 1e-5},
        {"tie_word_embeddings", false}};
    architecture_ = model::CreateFrom(config);
    Check(checkpoint::WriteCheckpoint(folder_ / "step1", config,
                                      model::RandomWeights(*architecture_, 1)));
    probe::ProbeText text;
    text.name = text.tokenizer = "random";
    text.vocabulary = size.vocabulary;
    text.bos_policy = "none";
    for (unsigned domain : {0, 1, 2}) {
      probe::Domain part;
      part.label = absl::StrCat("d", domain);
      part.tokens_NT = model::RandomTokens(size.sequences, size.tokens,
                                           size.vocabulary, domain);
      text.domains.push_back(part);
    }
    Check(probe::WriteProbe(folder_ / "probe", text));
    corpus_ = *probe::Corpus::Read(folder_ / "probe");
    for (int i = 0; i < 16; ++i) {
      absl::StrAppend(&list_, i == 0 ? "" : ",", i * size.layers / 16, ".",
                      i % size.heads);
    }
  }

  void Measure(bool ablate) {
    ExecuteOptions options;
    if (ablate) {
      options.ablation.policy =
          *base::ReadAblationPolicy(list_, {}, base::kDefaultAblationBudget);
    }
    auto opened = checkpoint::Checkpoint::Open(folder_ / "step1");
    auto done = Execute(*architecture_, **opened, corpus_, options, {});
    Check(done.status());
    notes_ = absl::StrCat(done->notes.empty() ? "" : done->notes[0],
                          done->notes.size() > 1 ? "; " + done->notes[1] : "");
  }

  const std::string& notes() const { return notes_; }

 private:
  static void Check(const absl::Status& status) {
    if (!status.ok()) std::abort();
  }

  const base::TempFolder folder_;
  std::unique_ptr<model::Architecture> architecture_;
  probe::Corpus corpus_;
  std::string list_;
  std::string notes_;
};

void Measure(benchmark::State& state, const Size& size, bool ablate) {
  at::set_num_threads(1);
  Run run(size);
  for (auto _ : state) run.Measure(ablate);
  state.SetLabel(run.notes());
}

BENCHMARK_CAPTURE(Measure, toy, kToy, false)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(Measure, toy_ablated, kToy, true)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(Measure, twelve_layers, kTwelveLayers, false)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(Measure, twelve_layers_ablated, kTwelveLayers, true)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();

}  // namespace
}  // namespace sinkwatch::executor

BENCHMARK_MAIN();
