#!/bin/sh
# Runs every fuzz target of the module for the given time, one after another:
# go test takes one target at a time.
set -eu
time=${1:?usage: fuzzall.sh TIME}
go=${GO:-go}
count=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzz() { # FOLDER TARGET
  "$go" test -C "$1" -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 10x . >"$log" 2>&1
}

# On a busy machine the fuzzing engine sometimes ends with its own deadline and
# calls that a failure. It found nothing then: a finding names its input.
overslept() { grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"; }

for dir in $("$go" list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./...); do
  targets=$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$dir"/*_test.go)
  for target in $targets; do
    fuzz "$dir" "$target" || { overslept && fuzz "$dir" "$target"; } || { overslept && fuzz "$dir" "$target"; } || { cat "$log"; exit 1; }
    count=$((count + 1))
  done
done
echo "fuzz: $count targets, $time each, nothing found"
