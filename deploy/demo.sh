#!/usr/bin/env bash
# The main job, on this machine: sets up what is missing, builds, and follows a
# model of the paper's toy task while it trains.
#
#   deploy/demo.sh                    one training; stays up until Ctrl-C
#   deploy/demo.sh --once             ends by itself: 0 only if the sink emerged
#   deploy/demo.sh --scenario=paper   five trainings beside what the paper claims
#   deploy/demo.sh --device=cuda      the worker on a GPU (downloads 2 GB once)
#   --pace=SECONDS --http=PORT --grpc=PORT   see bazel-bin/demo --help
set -euo pipefail
case " $* " in
  *" -h "* | *" --help "*) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case " $* " in
  *" --device=cuda"*) deploy/setup.sh --build --cuda ;;
  *) deploy/setup.sh --build ;;
esac
printf '\033[1msinkwatch demo: building (minutes the first time, seconds after)\033[0m\n' >&2
bazel build --ui_event_filters=-info,-stdout,-stderr //:demo
exec bazel-bin/demo "$@"
