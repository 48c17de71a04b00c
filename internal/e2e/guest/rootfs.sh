#!/bin/bash
# Builds the file system of the laboratory's guest: a Debian Trixie as a person
# has it who installed a template for mpd by hand: user dev, ssh, sudo, networkd
# with DHCP. It holds no key of any kind; each guest gets keys of its own.
#
#   rootfs.sh TARGET     needs root and mmdebstrap; TARGET must not exist
#
# The package server is the one that this machine's apt uses for Debian, or
# MPD_VIRT_E2E_MIRROR. There is no internet in the laboratory, so what step 40
# installs and nothing here calls are empty packages under the real names, in a
# local repository that the guest's apt treats like any other.
set -euo pipefail

target=${1:?usage: rootfs.sh TARGET}
[[ ! -e $target ]] || { echo "rootfs.sh: $target exists" >&2; exit 1; }

real=(systemd-sysv dbus libpam-systemd systemd-resolved libnss-resolve openssh-server sudo git openssl
      ca-certificates wget curl iproute2 iputils-ping dnsmasq-base bind9-dnsutils wireguard-tools wireguard-go
      jq less psmisc lsof make)
empty=(podman catatonit aardvark-dns nftables traceroute tcpdump vim-tiny build-essential pkg-config
       swiftlang libnss3-tools qemu-guest-agent wireguard)

mirror=${MPD_VIRT_E2E_MIRROR:-}
if [[ -z $mirror ]]; then
    # The first Debian source of this machine that is not the security one.
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $3 !~ /security/ { print $2; exit }')
fi
[[ -n $mirror ]] || { echo "rootfs.sh: this machine's apt has no Debian source; set MPD_VIRT_E2E_MIRROR" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# How this machine's apt reaches its servers holds for the build as well.
apt-config dump Acquire | grep -E '^Acquire::(Check-|https?::|Retries|Force)' > "$work/aptopts" || true

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

mmdebstrap --quiet --variant=apt --keyring=/usr/share/keyrings --aptopt="$work/aptopts" \
    --aptopt='APT::Install-Recommends "false"' --include="$(IFS=,; echo "${real[*]}")" \
    trixie "$target" "deb $mirror trixie main"

in_guest() {
    unshare --mount --pid --fork --mount-proc="$target/proc" \
        chroot "$target" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"
}

# No trace of the build: neither servers nor proxies nor keys.
rm -rf "$target"/etc/apt/sources.list.d/* "$target"/etc/apt/apt.conf.d/99mmdebstrap "$target"/var/lib/apt/lists/*
rm -f "$target"/etc/ssh/ssh_host_* "$target"/etc/machine-id "$target"/var/lib/dbus/machine-id
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

in_guest useradd --create-home --shell /bin/bash --groups sudo dev
in_guest install -d -m 0700 -o dev -g dev /home/dev/.ssh
# A password that a person could type, for guests without passwordless sudo.
echo 'dev:lab' | in_guest chpasswd
in_guest systemctl --quiet enable systemd-networkd systemd-resolved ssh
in_guest systemctl --quiet mask systemd-networkd-wait-online.service getty.target console-getty.service
in_guest systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer 2>/dev/null || true
