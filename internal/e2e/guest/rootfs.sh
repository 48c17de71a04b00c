#!/bin/bash
# Builds the file system of the laboratory's guest: a Debian Trixie as a person
# has it who installed a template for mpd by hand: user dev, ssh, sudo, networkd
# with DHCP. It holds no key of any kind; each guest gets keys of its own.
#
#   rootfs.sh TARGET     needs root and mmdebstrap; TARGET must not exist
#
# There is no internet in the laboratory, so what step 40 installs and nothing
# here calls are empty packages under the real names, in a local repository that
# the guest's apt treats like any other.
set -euo pipefail
. "$(dirname "$0")/debian.sh"

target=${1:?usage: rootfs.sh TARGET}
[[ ! -e $target ]] || { echo "rootfs.sh: $target exists" >&2; exit 1; }

real=(systemd-sysv dbus libpam-systemd systemd-resolved libnss-resolve openssh-server sudo git openssl
      ca-certificates wget curl iproute2 iputils-ping dnsmasq-base bind9-dnsutils wireguard-tools wireguard-go
      jq less psmisc lsof make)
empty=(podman catatonit aardvark-dns nftables traceroute tcpdump vim-tiny build-essential pkg-config
       swiftlang libnss3-tools qemu-guest-agent wireguard)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# make_package NAME: an empty package, but for what the steps look for.
make_package() {
    local name=$1 tree=$work/$1
    mkdir -p "$tree/DEBIAN" "$tree/usr/share/doc/$name"
    printf 'Package: %s\nVersion: 99.0-lab1\nArchitecture: all\nMaintainer: e2e laboratory <lab@invalid>\nDescription: empty stand-in for %s\n' \
        "$name" "$name" > "$tree/DEBIAN/control"
    case $name in
    podman)
        mkdir -p "$tree/usr/bin" "$tree/usr/lib/systemd/system"
        printf '#!/bin/sh\nexit 0\n' > "$tree/usr/bin/podman"
        printf '[Service]\nType=oneshot\nExecStart=/bin/true\nRemainAfterExit=yes\n[Install]\nWantedBy=multi-user.target\n' \
            > "$tree/usr/lib/systemd/system/podman-restart.service" ;;
    nftables)
        mkdir -p "$tree/usr/sbin"
        printf '#!/bin/sh\nexit 0\n' > "$tree/usr/sbin/nft" ;;
    esac
    find "$tree" -path '*bin/*' -type f -exec chmod 0755 {} +
    dpkg-deb --root-owner-group -Zgzip --build "$tree" "$work/repo/$name.deb" > /dev/null
}

mkdir -p "$work/repo"
for name in "${empty[@]}"; do make_package "$name"; done
(
    cd "$work/repo"
    for deb in *.deb; do
        dpkg-deb --field "$deb"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
    done > Packages
)

debian "$target" "${real[@]}"

mkdir -p "$target/opt/lab-repo"
cp "$work"/repo/* "$target/opt/lab-repo/"
echo 'deb [trusted=yes] file:/opt/lab-repo ./' > "$target/etc/apt/sources.list"

echo mpd-template-trixie > "$target/etc/hostname"
printf '127.0.0.1\tlocalhost\n127.0.1.1\tmpd-template-trixie\n' > "$target/etc/hosts"
ln -sfn /run/systemd/resolve/stub-resolv.conf "$target/etc/resolv.conf"
cat > "$target/etc/systemd/network/50-dhcp.network" <<'NETWORK'
[Match]
Name=enp0s5
[Network]
DHCP=ipv4
[DHCPv4]
ClientIdentifier=mac
NETWORK

in_guest "$target" useradd --create-home --shell /bin/bash --groups sudo dev
in_guest "$target" install -d -m 0700 -o dev -g dev /home/dev/.ssh
# A password that a person could type, for guests without passwordless sudo.
echo 'dev:lab' | in_guest "$target" chpasswd
in_guest "$target" systemctl --quiet enable systemd-networkd systemd-resolved ssh
in_guest "$target" systemctl --quiet mask systemd-networkd-wait-online.service getty.target console-getty.service
in_guest "$target" systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer 2>/dev/null || true
