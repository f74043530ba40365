#!/usr/bin/env bash
# What only a machine with a GPU can test: tests/gpu/run.sh. Red, not skipped,
# where a card, a library or the compiler of the kernels is missing.
#   - every CUDA kernel against its float64 reference;
#   - a checkpoint of every architecture (tests/data/hf) on the CPU and on the card, value by value;
#   - the worker on a card that others use (tests/gpu/manners.py).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/setup.sh --cuda
bazel build //worker:sinkwatch_worker //worker/kernels/cuda:device_test \
  //worker/kernels/cuda:libsinkwatch_cuda.so
bin="$PWD/bazel-bin/worker"
"$bin/kernels/cuda/device_test" "$bin/kernels/cuda/libsinkwatch_cuda.so"
tests/gpu/compare_devices.py --worker="$bin/sinkwatch_worker" \
  tests/data/stories260K:tests/data/stories_probe tests/data/hf/*/ "$@"
tests/gpu/manners.py --worker="$bin/sinkwatch_worker"
