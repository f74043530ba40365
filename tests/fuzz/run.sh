#!/usr/bin/env bash
# Builds the fuzzers and runs them, one after another or side by side:
#   tests/fuzz/run.sh [--minutes=N] [--jobs=N] [--out=DIR] [target...]
#     --minutes  minutes of user CPU time for each target (default 10), which it
#                gets in slices of one minute, in turn with the others
#     --jobs     targets at a time (default 1)
#     --out      where the corpora grow and findings land
#                (default ${SINKWATCH_CACHE:-~/.cache/sinkwatch}/fuzz)
# Ends with a table of targets, also when interrupted; exit code 1 where there
# was a finding.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
case " $* " in *" --help "*|*" -h "*) sed -n '2,9s/^# \{0,1\}//p' tests/fuzz/run.sh; exit 0 ;; esac
deploy/setup.sh --fuzz

wanted=()
for argument in "$@"; do [[ "$argument" == --* ]] || wanted+=("$argument"); done
if [[ ${#wanted[@]} == 0 ]]; then
  for source in tests/fuzz/*_fuzz.cc; do
    name="$(basename "$source" _fuzz.cc)"; wanted+=("$name"); set -- "$@" "$name"
  done
fi
labels=("${wanted[@]/#///tests/fuzz:}")
bazel build --config=fuzz "${labels[@]/%/_fuzzer}" 2>&1 | tail -3
exec /usr/bin/python3 tests/fuzz/campaign.py --bin="$(bazel info --config=fuzz bazel-bin)" "$@"
