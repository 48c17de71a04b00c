#!/bin/bash
# Builds the file system of a VM that nobody has set up: what of Debian's cloud
# image matters to cloud-init, from the same packages. There is no user, no key
# and no network configuration in it; all of that must come from the seed.
#
#   cloud.sh TARGET     needs root and mmdebstrap; TARGET must not exist
#
# The image itself is Debian's cloud kernel, since it boots fastest where there
# is no hardware virtualization. cloud-initramfs-growroot is left out: cloud-init
# is to grow the root file system, as the seed says.
set -euo pipefail
. "$(dirname "$0")/debian.sh"

target=${1:?usage: cloud.sh TARGET}
[[ ! -e $target ]] || { echo "cloud.sh: $target exists" >&2; exit 1; }

debian "$target" systemd-sysv dbus libpam-systemd systemd-resolved libnss-resolve openssh-server sudo \
    iproute2 iputils-ping cloud-init netplan.io cloud-guest-utils fdisk e2fsprogs initramfs-tools \
    "linux-image-cloud-$(dpkg --print-architecture)"

# As in Debian's image: a machine-id is made at the first boot.
: > "$target/etc/machine-id"
echo localhost > "$target/etc/hostname"
printf '127.0.0.1\tlocalhost\n' > "$target/etc/hosts"
ln -sfn /run/systemd/resolve/stub-resolv.conf "$target/etc/resolv.conf"
in_guest "$target" systemctl --quiet enable systemd-networkd systemd-resolved ssh
in_guest "$target" systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer 2>/dev/null || true
