#include "worker/commands/program.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/measure/protocol.h"

namespace sinkwatch::worker {
namespace {

using base::CommandSpec;
using base::FlagSpec;
using base::ValueKind;

// Flags of what computes.
std::vector<FlagSpec> WithComputing(std::vector<FlagSpec> flags) {
  flags.push_back(FlagSpec{"device", "NAME",
                           "auto, cpu, cuda or cuda:N; auto takes a GPU where "
                           "one can be used"}
                      .Default("auto")
                      .Example("cuda:1"));
  flags.push_back(FlagSpec{"gpu_memory", "MB",
                           "megabytes of a card that tensors may take, beside "
                           "some 500 that CUDA takes; 0 for all that is free. "
                           "A batch that does not fit is halved"}
                      .Of(ValueKind::kWhole)
                      .Default("0")
                      .Example("4000"));
  flags.push_back(FlagSpec{"tokens_per_batch", "N",
                           "tokens that run through a layer at a time; bounds "
                           "the memory of activations; default: 8192, on a GPU "
                           "16384"}
                      .Of(ValueKind::kPositive)
                      .Example("2048"));
  flags.push_back(FlagSpec{"threads", "N",
                           "threads that compute on the CPU; 0 for one per "
                           "core. Small models beside other work are faster on "
                           "1"}
                      .Of(ValueKind::kWhole)
                      .Default("0")
                      .Example("1"));
  return flags;
}

std::vector<std::string> ProtocolNames() {
  std::vector<std::string> names;
  for (const Protocol& protocol : Protocols()) names.push_back(protocol.name);
  return names;
}

std::string ProtocolNotes() {
  std::string text = "protocols:\n";
  for (const Protocol& protocol : Protocols()) {
    absl::StrAppend(&text, "  ", protocol.name, ": ", protocol.shows, "\n    (",
                    protocol.citation, ")\n");
  }
  return text;
}

CommandSpec MeasureSpec() {
  return {
      "measure",
      {},
      "measures one checkpoint, without a server; progress goes to standard "
      "error",
      WithComputing({
          FlagSpec{"checkpoint", "PATH",
                   "folder of the checkpoint, or a .bin file of llama2.c"}
              .Needed()
              .Example("runs/toy/step800"),
          FlagSpec{"probe", "DIR", "folder of the probe (probe.json)"}
              .Needed()
              .Example("probes/text"),
          FlagSpec{
              "model_config", "FILE",
              "the model's config (config.json of Hugging Face or "
              "OLMo-core, config.yaml, params.json), for a checkpoint that "
              "has none; default: the checkpoint's"}
              .Example("llama3/config.json"),
          FlagSpec{"dtype", "TYPE", "that it computes in"}
              .OneOf({"float32", "bfloat16"})
              .Default("float32")
              .Example("bfloat16"),
          FlagSpec{"metrics", "A,B,...", "names of metrics; default: all"}
              .Example("sink_attention,probe_loss"),
          FlagSpec{
              "protocol", "NAME",
              "as a published number was measured: its metrics, and a "
              "probe of its length and first tokens, see below; default: none"}
              .OneOf(ProtocolNames())
              .Example("gu"),
          FlagSpec{"ablate", "HEADS",
                   "heads that are changed to see what the loss says: none, "
                   "auto (near a change of state, and controls), all, or a "
                   "list of heads (3.5), all heads of a layer (3.*), a layer's "
                   "heads together (3) and \"layers\" (each layer's together)"}
              .Default("none")
              .Example("3.5,3.7,4.*"),
          FlagSpec{"ablation_modes", "A,B,...",
                   "how: zero, to_sink, no_sink; default: all"}
              .Example("zero"),
          FlagSpec{"ablation_budget", "SHARE",
                   "what it may cost beside the rest of the measurement; 0: "
                   "0.35 for auto, no bound for the others"}
              .Of(ValueKind::kNumber)
              .Default("0")
              .Example("0.1"),
          FlagSpec{"ablation_megabytes", "N",
                   "memory of streams of changed heads; what has no room takes "
                   "another pass through the weights"}
              .Of(ValueKind::kPositive)
              .Default("1024")
              .Example("8192"),
          FlagSpec{"format", "FORM", "default: table on a terminal, else json"}
              .OneOf({"json", "csv", "table"})
              .Example("csv"),
          FlagSpec{"output", "FILE", "file to write; default: standard output"}
              .Example("step800.json"),
          FlagSpec{"run", "NAME",
                   "name of the run in the answer; default: of the folder that "
                   "the checkpoint is in"}
              .Example("olmo2-1b"),
          FlagSpec{"stage", "NAME",
                   "stage of the run in the answer; default: none"}
              .Example("stage1"),
      }),
      {"measure --checkpoint=runs/toy/step800 --probe=probes/toy"},
      ProtocolNotes() +
          "exit codes: 0 measured, 2 bad usage, 3 incomplete, 4 corrupt, 5 "
          "unsupported,\n6 vanished, 1 other\n"};
}

CommandSpec RunSpec() {
  return {
      "run",
      {},
      "leases checkpoints from a server, measures them and sends the values, "
      "until SIGTERM",
      WithComputing({
          FlagSpec{
              "devices", "all|A,B,...",
              "a worker process for each of them under this one: all cards "
              "that are visible, or a list of devices; default: one "
              "worker, of --device"}
              .Example("all"),
          FlagSpec{"server", "HOST:PORT", "gRPC address of the server"}
              .Default("127.0.0.1:17461")
              .Example("sink.example:17461"),
          FlagSpec{"name", "NAME",
                   "name in the server's lists; default: host:pid"}
              .Example("gpu7"),
          FlagSpec{"exit_when_idle", "TIME",
                   "end when there was nothing to do for so long"}
              .Of(ValueKind::kDuration)
              .Default("inf")
              .Example("10m"),
          {"skip_self_test", "",
           "start without measuring the built-in model first"},
      }),
      {"run --server=127.0.0.1:17461"},
      "exit codes: 0 drained, 2 bad usage, 42 self-test failed, 43 the device "
      "does not\ncompute any more (start the worker again). With --devices: "
      "the "
      "first of the\nworkers' that is not 0; one that ends with 43, or by a "
      "signal, is started again\n"};
}

CommandSpec ProbeSpec() {
  return {
      "probe",
      {},
      "makes a probe of raw token files (OLMo's .npy) where they lie: a folder "
      "of one file, probe.json, that pins paths, counts and digests",
      {
          FlagSpec{"from_list", "FILE",
                   "lines label,path that name raw token files, as OLMo-core's "
                   "data mixes; {TOKENIZER} in a path is --tokenizer"}
              .Needed()
              .Example("v3-small.txt"),
          FlagSpec{"tokenizer", "NAME", "name of the tokenizer"}
              .Needed()
              .Example("dolma2-tokenizer"),
          FlagSpec{"vocab_size", "N", "ids are below this"}
              .Needed()
              .Of(ValueKind::kPositive)
              .Example("100278"),
          FlagSpec{"sequence_length", "N", "tokens of a sequence"}
              .Needed()
              .Of(ValueKind::kPositive)
              .Example("2048"),
          FlagSpec{"output", "DIR", "folder to make"}.Needed().Example(
              "probes/v3-small"),
          FlagSpec{
              "base", "DIR",
              "folder that relative paths of the list start from; default: "
              "the list's own"}
              .Example("/data/olmo"),
          FlagSpec{"max_tokens_per_domain", "N",
                   "ids used of each domain, from its start; 0 for all"}
              .Of(ValueKind::kWhole)
              .Default("0")
              .Example("262144"),
          FlagSpec{"dtype", "TYPE",
                   "of the token files: auto (the smallest that holds every "
                   "id), uint8, uint16, uint32 or uint64"}
              .Default("auto")
              .Example("uint32"),
          FlagSpec{"bos_policy", "POLICY",
                   "first token of each sequence: none (the text goes on, as "
                   "OLMo trains), stored (the files have one already), prepend "
                   "(--bos_id) or eos (--eos_id)"}
              .OneOf({"none", "stored", "prepend", "eos"})
              .Default("none")
              .Example("eos"),
          FlagSpec{"bos_id", "N", "id that bos_policy prepend puts first"}
              .Of(ValueKind::kWhole)
              .Default("-1")
              .Example("1"),
          FlagSpec{"eos_id", "N",
                   "id that ends a text; checked, and put first by bos_policy "
                   "eos"}
              .Of(ValueKind::kWhole)
              .Default("-1")
              .Example("100257"),
      },
      {"probe --from_list=v3-small.txt --base=/data/olmo "
       "--tokenizer=dolma2-tokenizer --vocab_size=100278 --eos_id=100257 "
       "--sequence_length=2048 --max_tokens_per_domain=262144 "
       "--output=probes/v3-small"},
      "exit codes: 0 done, 2 bad usage or a token file that is wrong, 1 "
      "other\n"};
}

}  // namespace

const base::ProgramSpec& WorkerProgram() {
  static const auto* const kProgram =
      new base::ProgramSpec{"sinkwatch_worker",
                            "measures checkpoints of language models.",
                            {MeasureSpec(), RunSpec(), ProbeSpec()},
                            {},
                            ""};
  return *kProgram;
}

}  // namespace sinkwatch::worker
