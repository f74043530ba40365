#!/usr/bin/env bash
# The READMEs' tables of rooms are the rooms: rooms_test.sh LABELS README...
# LABELS: every label that our programs are built of. A table's row begins with a
# link to the room.
set -euo pipefail
labels="$1"
shift
status=0
for readme in "$@"; do
  folder="$(dirname "$readme")/"
  [[ "$folder" != ./ ]] || folder=""
  built="$(grep -oE "^//$folder[a-z_0-9]+[/:]" "$labels" |
    sed "s|^//$folder||; s|[/:]\$||" | sort -u)"
  told="$(sed -nE 's/^\| \[([a-z_0-9]+)[]/].*/\1/p' "$readme" | sort -u)"
  # Beside what the programs are built of, the root holds what goes with them.
  [[ -n "$folder" ]] || built="$(printf '%s\n' "$built" dashboards deploy tests third_party | sort -u)"
  [[ -n "$built" && -n "$told" ]] || { echo "$readme: no rooms were found"; status=1; continue; }
  difference="$(diff <(echo "$built") <(echo "$told"))" && continue
  echo "$readme: '<' is a room that it does not tell of, '>' is no room:"
  echo "$difference"
  status=1
done
exit $status
