#!/bin/bash
# Builds a raw disk as Debian's cloud image is one, with GPT and the root file
# system in the first partition, and beside it the kernel that boots it: there is
# no boot loader.
#
#   disk.sh TARGET ROOT     the folder TARGET, which must not exist, from the
#                           file system in ROOT, which cloud.sh made
set -euo pipefail

target=${1:?usage: disk.sh TARGET ROOT}
root=${2:?usage: disk.sh TARGET ROOT}
size=$((4 << 30)) first=$((1 << 20))
# The last MiB is for the second partition table.
blocks=$(((size - first - (1 << 20)) / 1024))

mkdir "$target"
cp --dereference "$root"/boot/vmlinuz-* "$target/vmlinuz"
cp --dereference "$root"/boot/initrd.img-* "$target/initrd"
truncate -s "$size" "$target/disk.raw"
printf 'label: gpt\nstart=%d, size=%d, type=linux, name=root\n' $((first / 512)) $((blocks * 2)) | sfdisk --quiet "$target/disk.raw"
mke2fs -q -F -t ext4 -E "offset=$first" -d "$root" "$target/disk.raw" "${blocks}k"
