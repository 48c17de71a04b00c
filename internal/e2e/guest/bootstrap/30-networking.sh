#!/bin/bash
# Laboratory stand-in for mpd's step 30: name, resolver, address and
# platform.env of the VM. One argument: the three digits of its number.
#
# Switches: foreground (the address changes while this script still runs, as
# the first upstream versions did), never-returns, late (seconds),
# dpkg-lock (seconds that dpkg's lock is held from before the change on).
set -euo pipefail
. "$(dirname "$0")/common.sh"

[[ $# == 1 ]] || die 'usage: 30-networking.sh NNN'
[[ $1 =~ ^[0-9]+$ ]] || die "not a number: $1"
id=$((10#$1))
((id == 0 || (id >= 100 && id <= 254))) || die "not 0 or 100 to 254: $1"
number=$(printf %03d "$id")
switches 30

title 'Link manager gate'
systemctl --quiet is-active systemd-networkd || die 'neither NetworkManager nor systemd-networkd is active'
ok 'systemd-networkd'

title 'IPv6 off'
echo 'net.ipv6.conf.all.disable_ipv6 = 1' | sudo tee /etc/sysctl.d/99-mpd-disable-ipv6.conf > /dev/null
sudo sysctl --quiet --load /etc/sysctl.d/99-mpd-disable-ipv6.conf
ok 'net.ipv6.conf.all.disable_ipv6 = 1'

title "Host name → mpd-$number"
sudo hostnamectl set-hostname "mpd-$number"
sudo sed -i "s/^127\.0\.1\.1.*/127.0.1.1\tmpd-$number/" /etc/hosts
ok "mpd-$number"

title 'Resolver'
sudo systemctl --quiet enable systemd-resolved
sudo systemctl restart systemd-resolved
for ((i = 0; ; i++)); do
    getent ahostsv4 bootstrap.lab.test > /dev/null && break
    ((i < 30)) || die 'names do not resolve'
    sleep 1
done
ok 'names resolve'

write_env() { # ADDRESS
    local platform=managed
    [[ $id != 0 ]] || platform=sandbox
    install -d -m 0755 $state/conf
    printf '# mpd platform identity — written by bootstrap/30-networking.sh.\nMPD_PLATFORM=%s\nMPD_VM_IP=%s\nMPD_VM_ID=%s\n' \
        "$platform" "$1" "$number" > $state/conf/platform.env
    chmod 0644 $state/conf/platform.env
    ok "wrote $state/conf/platform.env"
}

title 'Address'
if [[ $id == 0 ]]; then
    write_env ''
    exit 0
fi
read -r link gateway < <(ip -4 -json route show default | jq -r '.[0] | "\(.dev) \(.gateway)"')
read -r old prefix < <(ip -4 -json addr show dev "$link" | jq -r '.[0].addr_info[0] | "\(.local) \(.prefixlen)"')
new=${old%.*}.$id
printf '[Match]\nName=%s\n[Network]\nAddress=%s/%s\nGateway=%s\nDNS=%s\n' "$link" "$new" "$prefix" "$gateway" "$gateway" |
    sudo tee /etc/systemd/network/05-mpd.network > /dev/null
ok 'wrote /etc/systemd/network/05-mpd.network'
write_env "$new"

if [[ -f $lab/dpkg-lock ]]; then
    # dpkg takes fcntl locks, which flock(1) knows nothing of.
    sudo setsid -f perl -e 'use Fcntl; open my $f, ">>", "/var/lib/dpkg/lock-frontend" or die;
        my $lock = pack("s s x4 q q l x4", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLKW, $lock) or die; sleep shift' \
        "$(< $lab/dpkg-lock)" < /dev/null > /dev/null 2>&1
    sleep 0.3
fi

apply="networkctl reload; networkctl reconfigure $link"
if [[ $old == "$new" ]]; then
    sudo bash -c "$apply"
    ok "already at $new"
    exit 0
fi
if [[ -f $lab/never-returns ]]; then
    apply="ip link set $link down; systemctl stop systemd-networkd.socket systemd-networkd"
elif [[ -f $lab/late ]]; then
    apply="ip addr flush dev $link; sleep $(< $lab/late); $apply"
fi
warn "$old → $new: SSH about to drop, this is expected"
if [[ -f $lab/foreground ]]; then
    sudo bash -c "$apply"
    sleep 3600
fi
sudo setsid -f bash -c "sleep 0.4; $apply" < /dev/null > /dev/null 2>&1
