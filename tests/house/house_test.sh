#!/bin/sh
# Each argument is the answer of a query that must find nothing.
status=0
[ "$#" -gt 0 ] || { echo "no rules were given"; exit 1; }
for answer in "$@"; do
  [ -f "$answer" ] || { echo "missing: $answer"; status=1; continue; }
  [ -s "$answer" ] || continue
  echo "broken rule: $(basename "$answer")"
  cat "$answer"
  status=1
done
exit $status
