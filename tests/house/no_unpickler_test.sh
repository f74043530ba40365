#!/bin/sh
# The worker must not be able to hand a checkpoint to LibTorch's own readers of
# pickles and archives: it refers to none of their functions.
# Argument: the worker.
symbols="$(nm --dynamic --undefined-only --demangle "$1")" || exit 1
echo "$symbols" | grep -q 'at::' || { echo "no symbol of LibTorch in $1"; exit 1; }
found="$(echo "$symbols" | grep -E 'pickle_load|[uU]npickle|torch::load|jit::load|jit::import|PyTorchStreamReader|InputArchive|jit::readArchive')"
[ -z "$found" ] && exit 0
echo "the worker refers to:"
echo "$found"
exit 1
