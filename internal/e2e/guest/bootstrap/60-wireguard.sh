#!/bin/bash
# Laboratory stand-in for mpd's step 60: the VM's end of the tunnel, from the
# configuration that the host pushed.
set -euo pipefail
. "$(dirname "$0")/common.sh"
switches 60

title 'WireGuard'
conf=$state/conf/wireguard/mpd0.conf
if [[ ! -f $conf ]]; then
    ok 'no mpd0.conf, skipping'
    exit 0
fi
echo 'net.ipv4.ip_forward = 1' | sudo tee /etc/sysctl.d/99-mpd-wg.conf > /dev/null
sudo sysctl --quiet --load /etc/sysctl.d/99-mpd-wg.conf
changed=
if ! sudo cmp --quiet "$conf" /etc/wireguard/mpd0.conf; then
    sudo install -m 0600 -o root -g root "$conf" /etc/wireguard/mpd0.conf
    changed=yes
fi
sudo systemctl --quiet enable wg-quick@mpd0
if [[ $changed ]]; then sudo systemctl restart wg-quick@mpd0; else sudo systemctl start wg-quick@mpd0; fi
ok 'wg-quick@mpd0'
