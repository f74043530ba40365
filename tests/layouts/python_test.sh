#!/bin/sh
# Runs a Python test of this folder: python_test.sh tests/e2e/NAME.py
exec /usr/bin/python3 "$1"
