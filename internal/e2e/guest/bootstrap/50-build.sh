#!/bin/bash
# Laboratory stand-in for mpd's step 50: builds /opt/mpd/bin/mpd and puts it on
# the PATH of commands that sshd runs.
set -euo pipefail
. "$(dirname "$0")/common.sh"
switches 50

title 'Build'
[[ -f /opt/mpd/Makefile ]] || die '/opt/mpd/Makefile is missing'
make --no-print-directory -C /opt/mpd install
ok '/opt/mpd/bin/mpd'

title 'PATH'
line='export PATH=/opt/mpd/bin:$PATH # mpd'
if grep -qxF "$line" ~/.bashrc; then
    ok 'already in ~/.bashrc'
else
    # First line: Debian's own file returns early where nobody types.
    printf '%s\n%s\n' "$line" "$(cat ~/.bashrc)" > ~/.bashrc.mpd
    mv ~/.bashrc.mpd ~/.bashrc
    ok 'added to ~/.bashrc'
fi
