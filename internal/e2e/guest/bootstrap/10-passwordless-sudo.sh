#!/bin/bash
# Laboratory stand-in for mpd's step 10: makes sudo passwordless for this user.
# Self-contained, because it is fetched over https and run alone.
set -euo pipefail

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

title 'Hostname gate'
name=$(hostname -s)
[[ $name =~ ^(mpd-(template|sandbox)(-[a-z0-9-]+)?|mpd-[0-9]{3})$ ]] || die "hostname '$name' is not one of mpd's"
ok "hostname '$name' accepted"

title 'OS gate'
. /etc/os-release
[[ $ID == debian && $VERSION_CODENAME == trixie ]] || die "not Debian Trixie: $ID ${VERSION_CODENAME:-}"
ok 'Debian Trixie'

switches 10

title "Passwordless sudo for $USER"
if sudo -n true 2> /dev/null; then
    ok 'already configured (sudo -n works)'
    exit 0
fi
rule=/etc/sudoers.d/00-mpd-$USER
su - -c "umask 0226 && echo '$USER ALL=(ALL) NOPASSWD: ALL' > $rule && { visudo -cqf $rule || { rm -f $rule; false; }; }" ||
    die 'root did not let us'
ok "wrote $rule"
