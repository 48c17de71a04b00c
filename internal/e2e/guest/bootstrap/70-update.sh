#!/bin/bash
# Laboratory stand-in for mpd's step 70: newest repository, build, setup.
set -euo pipefail
. "$(dirname "$0")/common.sh"
switches 70

here=$(dirname "$0")
bash "$here/20-git-clone.sh"
bash "$here/50-build.sh"
/opt/mpd/bin/mpd --setup
ok 'Update complete.'
