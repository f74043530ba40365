#ifndef SINKWATCH_SERVER_DISCOVERY_LAYOUT_RULES_H_
#define SINKWATCH_SERVER_DISCOVERY_LAYOUT_RULES_H_

#include <optional>
#include <string>
#include <vector>

#include "server/discovery/layout.h"

// What several layouts ask of a folder. Reasons are empty where there is
// nothing to wait for.
namespace sinkwatch::discovery {

using Entries = std::vector<Entry>;

// The file of that name; nullptr if there is none.
const Entry* FindFile(const Entries& entries, const std::string& name);
// The entries of a known sub-folder; nullptr if there is none.
const Entries* FindFolder(const Listing& listing, const std::string& name);

// "<name> is not there yet", "<name> is empty", or nothing.
std::string WhyFileMissing(const Entries& entries, const std::string& name);

// Whether the name is <stem>-00001-of-00003.<suffix>; which of how many.
struct Shard {
  int64_t number;
  int64_t count;
};
std::optional<Shard> ParseShard(const std::string& name,
                                const std::string& stem,
                                const std::string& suffix);

// Weights of the Hugging Face kind: single or sharded safetensors, else
// pytorch_model.bin, else model.pt. Shards mean an index; each shard that their
// names ask for must be there. An index without a shard is that of the single
// file (mlx writes one) and may not be empty; a file that it does not mean is
// for the worker to refuse.
std::string WhyWeightsMissing(const Entries& entries);

// Whether weights of that kind are whole if nothing more comes: a single file,
// or every shard of one set and an index, or of the only set that is there
// (downloads of the weights alone). Shards that no index can mean, and what is
// under way beside them, are nothing to wait for then.
bool HasWholeWeights(const Entries& entries);

// The same with a configuration, its own or the run's.
bool IsWholeHuggingFace(const Subject& subject);

// Whether a file __3_0.distcp, .metadata or __3.metadata is there.
bool HasDcpFiles(const Entries& entries);

// rank0.pt: ShardedTensor or flat parameters, which no worker reads.
bool HasRankFiles(const Entries& entries);

Verdict Complete();
// Waiting for `why`, or complete if that is empty.
Verdict WaitingFor(std::string why);
// `code` names the kind for good: it is the fingerprint of what is unsupported.
Verdict Unsupported(const char* code, std::string why);

// A torch.distributed.checkpoint: complete with .metadata, which its writer
// puts there last, and data files. `folder` ("model_and_optim/" or "") is for
// the reason. Files under way are strays of a save that failed, and nothing
// waits for them. Not supported with a .metadata per rank: a save without
// collectives, which never writes the one of all ranks.
Verdict JudgeDcp(const Entries& entries, const std::string& folder);

// " (run_config.yaml is there and is not read)" of configurations that other
// trainers write; empty if there is none.
std::string ConfigsOfOthers(const Entries& entries);

// Complete if config.json is there, or the run gives one in its place.
// `what_is_whole` is for the reason.
Verdict WaitingForConfig(const Subject& subject,
                         const std::string& what_is_whole);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_LAYOUT_RULES_H_
