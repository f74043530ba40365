#!/usr/bin/env bash
# Sets up what is missing and runs every test: tests/run.sh [bazel flags].
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
deploy/setup.sh

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
status=0
bazel test //... --keep_going "$@" 2>&1 | tee "$log" || status=$?

passed="$(grep -cE '^//[^ ]+ +(\(cached\) )?PASSED' "$log" || true)"
failed="$(grep -cE '^//[^ ]+ +(FAILED|TIMEOUT|NO STATUS|FLAKY)' "$log" || true)"
echo "$passed passed, $failed failed"
exit "$status"
