#!/bin/sh
# Runs tests of the page: node_test.sh TEST.js... Debian's node, if it is there.
node=/usr/bin/node
[ -x "$node" ] || node=node
exec "$node" --test "$@"
