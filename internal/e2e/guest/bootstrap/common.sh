# Shared by the steps that run from the clone: their manner of speaking and the
# laboratory's switches. Sourced, not run.

lab=/etc/mpd-lab
state=/var/lib/mpd
title() { printf '\n==> %s\n' "$*"; }
ok() { printf '    ok: %s\n' "$*"; }
warn() { printf '    warn: %s\n' "$*"; }
die() { printf 'Error: %s\n' "$*" >&2; exit 1; }

switches() { # STEP: how this run shall misbehave, by files under /etc/mpd-lab
    local step=$1 status i
    echo "$step" >> $lab/log
    if [[ -f $lab/noisy-$step ]]; then
        for ((i = 0; i < 3000; i++)); do printf '\r\033[31mReading %d%%\033[0m\033]0;title\007 → line %d\n' $((i / 30)) "$i"; done
    fi
    if [[ -f $lab/slow-$step ]]; then sleep "$(< "$lab/slow-$step")"; fi
    if [[ -f $lab/fail-once-$step ]]; then
        status=$(< "$lab/fail-once-$step")
        rm -f "$lab/fail-once-$step"
        echo "Error: the laboratory lets $step fail once" >&2
        exit "$status"
    fi
}
