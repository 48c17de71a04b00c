#!/bin/bash
# Laboratory stand-in for mpd's step 40: installs by real apt-get what dpkg does
# not know as installed; the missing ones come from the guest's local repository.
set -euo pipefail
. "$(dirname "$0")/common.sh"
switches 40

wanted=(podman catatonit aardvark-dns nftables sudo openssl bash coreutils git iputils-ping ca-certificates systemd
        iproute2 jq bind9-dnsutils traceroute tcpdump lsof curl less vim-tiny psmisc
        build-essential pkg-config make swiftlang libnss3-tools qemu-guest-agent wireguard)

title 'Software'
missing=()
for name in "${wanted[@]}"; do
    status=$(dpkg-query -W -f='${Status}' "$name" 2> /dev/null || true)
    [[ $status == 'install ok installed' ]] || missing+=("$name")
done
if ((${#missing[@]})); then
    sudo apt-get update
    sudo DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
    ok "${#missing[@]} installed"
else
    ok 'all installed already'
fi
sudo systemctl enable --now podman-restart.service
ok 'podman-restart.service'
