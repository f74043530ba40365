#!/bin/sh
# Runs a Python test: python_test.sh tests/FOLDER/NAME.py
exec /usr/bin/python3 "$1"
