#ifndef SINKWATCH_SERVER_QUERY_PLANTED_RUNS_TESTING_H_
#define SINKWATCH_SERVER_QUERY_PLANTED_RUNS_TESTING_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/store/store.h"

// Made-up runs of which it is known what is to be found: the same on every
// machine.
namespace sinkwatch::query {

// A run on the domains "wiki" and "code". Of its heads about two thirds are
// sinks on both from `onset` on, but those that are named do something else.
// All values are what they are meant to be, plus normal noise of one standard
// deviation `noise` (of shares; five times that of norms), which is also their
// standard error.
struct PlantedRun {
  std::string name = "planted";
  int layers = 32;
  int heads = 32;
  std::vector<int64_t> steps;
  // Layer and head. Dormant on wiki, awake on code.
  std::vector<std::pair<int, int>> switching;
  // Dormancy .95 on wiki and .75 on code, or .44 and .04: not switching.
  std::vector<std::pair<int, int>> nearly;
  // Where sinks rise through one half: between checkpoints.
  double onset = 1200;
  // The residual norm of layers from 2 on jumps here; 0: nowhere.
  double jump = 3700;
  double noise = .01;
  uint64_t seed = 1;
  // Whether the metrics say what they stand for.
  bool roles = true;
  // Sequences of a domain whose own dormancy is given, spread around the value
  // as its noise says; 0: none.
  int sequences = 0;
  // Standard error that is said of dormancy; 0: its noise.
  double dormancy_error = 0;
  std::string protocol;
  // Steps whose checkpoints all have the same weights.
  std::vector<int64_t> repeated;
  // Training tokens of a step; 0: not known.
  int64_t tokens_a_step = 0;
  // Heads that have no value on code, and steps at which nothing but the loss
  // is measured of it.
  std::vector<std::pair<int, int>> blank;
  std::vector<int64_t> without_code;
  // What its checkpoints hold, and on what terms they are measured.
  std::string content = "planted";
  std::string dtype;
};

// `count` steps: 0, powers of two below twice `every`, then its multiples from
// there on.
std::vector<int64_t> PlantedSteps(size_t count, int64_t every);

// Heads spread over a model of `layers` x `heads`, each once.
std::vector<std::pair<int, int>> SpreadHeads(int count, int layers, int heads,
                                             int offset = 0);

// Follows the run and measures its steps in `order` (indices of steps; empty:
// as they are); some may be left out and measured later.
absl::Status Plant(const PlantedRun& run, store::Store& store,
                   const std::vector<size_t>& order = {});

// "late" and "early": 32 x 32 heads, 300 checkpoints, two domains of 64
// sequences, 4 Mi tokens a step. 30 heads of each switch; sinks rise in (1000,
// 1500] and in (512, 1000]; the residual norm of "late" jumps in (3500, 4000].
absl::Status PlantPair(store::Store& store);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_PLANTED_RUNS_TESTING_H_
