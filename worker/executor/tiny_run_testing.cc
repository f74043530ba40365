#include "worker/executor/tiny_run_testing.h"

#include <filesystem>
#include <memory>

#include "ATen/TensorOperators.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/writer.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::executor {

nlohmann::json TinyLlama() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"hidden_size", 16},
          {"intermediate_size", 24},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"vocab_size", kTinyVocabulary},
          {"max_position_embeddings", 32},
          {"rms_norm_eps", 1e-5},
          {"tie_word_embeddings", false}};
}

TinyRun::TinyRun(const nlohmann::json& config) : config_(config) {
  const auto architecture = model::CreateFrom(config);
  weights_ = model::RandomWeights(*architecture, 1);
  std::filesystem::create_directory(folder_ / "run");
  WriteAgain(weights_);
  WriteProbeAgain(kTinyVocabulary, kTinyTokens);
}

void TinyRun::WriteAgain(const model::Weights& weights) {
  std::filesystem::remove_all(checkpoint());
  const absl::Status status =
      checkpoint::WriteCheckpoint(checkpoint(), config_, weights);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

void TinyRun::WriteProbeAgain(int64_t vocabulary, int64_t tokens) {
  std::filesystem::remove_all(probe());
  probe::ProbeText text;
  text.name = "tiny";
  text.tokenizer = "none";
  text.vocabulary = vocabulary;
  text.bos_policy = "none";
  probe::Domain plain, classed;
  plain.label = "plain";
  plain.tokens_NT = model::RandomTokens(kTinySequences, tokens, vocabulary, 1);
  plain.tokens_NT.select(0, 2).select(0, 3).fill_(vocabulary - 1);
  classed.label = "classed";
  classed.tokens_NT = model::RandomTokens(2, tokens, vocabulary, 2);
  classed.row_classes_NT = classed.tokens_NT.remainder(2).to(at::kByte);
  classed.class_names = {"even", "odd"};
  text.domains = {plain, classed};
  const absl::Status status = probe::WriteProbe(probe(), text);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

}  // namespace sinkwatch::executor
