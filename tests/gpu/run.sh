#!/usr/bin/env bash
# What only a machine with a GPU can test: tests/gpu/run.sh. Red, not skipped,
# where a card, a library or the compiler of the kernels is missing.
#   - every CUDA kernel against the CPU or float64;
#   - a checkpoint of every architecture (tests/data/hf) on the CPU and on the
#     card, value by value: every metric, side runs and ablations in float32,
#     then in bfloat16; and some as protocols have them;
#   - the worker on a card that others use, and on one that breaks
#     (tests/gpu/manners.py).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/setup.sh --cuda
bazel build //server:sinkwatch_server //server/ctl:sinkctl \
  //worker:sinkwatch_worker //worker/kernels/cuda:device_test \
  //worker/kernels/cuda:libsinkwatch_cuda.so
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
g++ -std=c++17 -shared -fPIC -pthread tests/gpu/broken_card.cc -ldl \
  -o "$work/libbroken_card.so"
bin="$PWD/bazel-bin"
"$bin/worker/kernels/cuda/device_test" "$bin/worker/kernels/cuda/libsinkwatch_cuda.so"
mapfile -t models < <(dirname tests/data/hf/*/config.json)
tests/gpu/compare_devices.py --worker="$bin/worker/sinkwatch_worker" \
  tests/data/stories260K:tests/data/stories_probe "${models[@]}" "$@"
for protocol in paper paper-olmo gu; do
  tests/gpu/compare_devices.py --worker="$bin/worker/sinkwatch_worker" \
    --protocol="$protocol" tests/data/hf/olmo2 tests/data/hf/llama
done
tests/gpu/manners.py --worker="$bin/worker/sinkwatch_worker" \
  --server="$bin/server/sinkwatch_server" --sinkctl="$bin/server/ctl/sinkctl" \
  --broken_card="$work/libbroken_card.so"
