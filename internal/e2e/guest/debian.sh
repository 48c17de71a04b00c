# For the recipes of file systems, which source this: Debian Trixie from the
# server that this machine's apt uses for Debian, or MPD_VIRT_E2E_MIRROR.
# shellcheck shell=bash

# debian TARGET PACKAGE...: installs Debian in the new folder TARGET, with
# nothing in it that tells of the build: neither servers nor proxies nor keys.
debian() {
    local target=$1 mirror=${MPD_VIRT_E2E_MIRROR:-} options
    shift
    if [[ -z $mirror ]]; then
        # The first Debian source of this machine that is not the security one.
        mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
            awk '$1 == "Debian" && $3 !~ /security/ { print $2; exit }')
    fi
    [[ -n $mirror ]] || { echo "this machine's apt has no Debian source; set MPD_VIRT_E2E_MIRROR" >&2; return 1; }

    # How this machine's apt reaches its servers holds for the build as well.
    options=$(mktemp)
    apt-config dump Acquire | grep -E '^Acquire::(Check-|https?::|Retries|Force)' > "$options" || true
    mmdebstrap --quiet --variant=apt --keyring=/usr/share/keyrings --aptopt="$options" \
        --aptopt='APT::Install-Recommends "false"' --include="$(IFS=,; echo "$*")" \
        trixie "$target" "deb $mirror trixie main" || { rm -f "$options"; return 1; }
    rm -rf "$options" "$target"/etc/apt/sources.list.d/* "$target"/etc/apt/apt.conf.d/99mmdebstrap "$target"/var/lib/apt/lists/*
    rm -f "$target"/etc/apt/sources.list "$target"/etc/ssh/ssh_host_* "$target"/etc/machine-id "$target"/var/lib/dbus/machine-id
}

# in_guest TARGET PROGRAM...: runs a program of the file system TARGET.
in_guest() {
    local target=$1
    shift
    unshare --mount --pid --fork --mount-proc="$target/proc" \
        chroot "$target" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"
}
