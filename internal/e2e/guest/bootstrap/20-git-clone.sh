#!/bin/bash
# Laboratory stand-in for mpd's step 20: puts the repository at /opt/mpd.
# Self-contained, because it is fetched over https and run alone.
set -euo pipefail

# The default is a name that does not resolve: a caller that loses MPD_REPO on
# the way is noticed.
repo=${MPD_REPO:-https://unset.lab.test/mpd.git}
branch=${MPD_BRANCH:-main}
lab=/etc/mpd-lab
title() { printf '\n==> %s\n' "$*"; }
ok() { printf '    ok: %s\n' "$*"; }
die() { printf 'Error: %s\n' "$*" >&2; exit 1; }

switches() { # STEP: how this run shall misbehave
    local step=$1 status
    echo "$step" >> $lab/log
    if [[ -f $lab/slow-$step ]]; then sleep "$(< "$lab/slow-$step")"; fi
    if [[ -f $lab/fail-once-$step ]]; then
        status=$(< "$lab/fail-once-$step")
        rm -f "$lab/fail-once-$step"
        echo "Error: the laboratory lets $step fail once" >&2
        exit "$status"
    fi
}

sudo -n true 2> /dev/null || die 'passwordless sudo is missing: run 10-passwordless-sudo.sh first'
switches 20

title 'Folders'
for dir in /opt/mpd /var/lib/mpd; do
    sudo install -d -m 0755 -o "$USER" -g "$(id -gn)" "$dir"
    ok "$dir"
done

title "Repository → $repo ($branch)"
if [[ ! -d /opt/mpd/.git ]]; then
    git clone --branch "$branch" "$repo" /opt/mpd
    ok 'cloned'
else
    git -C /opt/mpd remote set-url origin "$repo"
    git -C /opt/mpd fetch origin "$branch"
    git -C /opt/mpd checkout "$branch"
    git -C /opt/mpd pull --ff-only origin "$branch" || die 'git pull --ff-only failed: the histories differ'
    ok 'up to date'
fi
