#!/bin/sh
# Runs every fuzz target of the module for the given time, one after another:
# go test takes one target at a time.
set -eu
time=${1:?usage: fuzzall.sh TIME}
go=${GO:-go}
count=0
for dir in $("$go" list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./...); do
  targets=$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$dir"/*_test.go)
  [ -n "$targets" ] || continue
  binary=$(mktemp)
  trap 'rm -f "$binary"' EXIT
  for target in $targets; do
    "$go" test -C "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x . >"$binary" 2>&1 || { cat "$binary"; exit 1; }
    count=$((count + 1))
  done
  rm -f "$binary"
done
echo "fuzz: $count targets, $time each, nothing found"
