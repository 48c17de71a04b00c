package guest

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// File is a file to be put on the VM.
type File struct {
	Path string      // absolute and clean
	Mode fs.FileMode // permission bits; at least one
	Data []byte      // at most 1 MiB
}

// pushText gets the path, the mode in octal and the number of bytes as
// arguments and the bytes on stdin. It says what it needs of the VM: bash,
// mktemp (whose files are born with 0600), cat, wc, chmod, mkdir, mv, rm. A
// later push removes what an earlier one left that was killed.
const pushText = `set -eu
path=$1 mode=$2 size=$3
dir=${path%/*} name=${path##*/}
stop() { printf '%s\n' "$1" >&2; exit 1; }
at='' rest=${dir#/}/
while [ -n "$rest" ] && [ "$rest" != / ]; do
  at=$at/${rest%%/*} rest=${rest#*/}
  if [ -L "$at" ]; then stop "$at is a symbolic link"; fi
done
if [ -L "$path" ]; then stop "$path is a symbolic link"; fi
if [ -d "$path" ]; then stop "$path is a folder"; fi
mkdir -p -- "$dir/"
rm -f -- "$dir/.$name".mpd-virt.*
temp=$(mktemp -- "$dir/.$name.mpd-virt.XXXXXXXXXX")
trap 'rm -f -- "$temp"' EXIT
cat >"$temp"
got=$(wc -c <"$temp")
if [ "$got" -ne "$size" ]; then stop "$path: $got of $size bytes arrived"; fi
chmod -- "$mode" "$temp"
mv -fT -- "$temp" "$path"
trap - EXIT
`

const maxPush = 1 << 20

// Push puts a file in place: whoever looks sees the old content or the new,
// whole and with its mode, also if the connection breaks. Missing parent
// folders are made, as the login's umask has it. A symbolic link at the path or
// above it is refused. The data is on no command line. Errors are those of Run.
func (c *Conn) Push(ctx context.Context, f File) error {
	mode := f.Mode.Perm()
	switch {
	case !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || path.Base(f.Path) == "/" || strings.ContainsAny(f.Path, "\n\x00"):
		return fmt.Errorf("push %q: not an absolute path of a file", f.Path)
	case mode == 0 || mode != f.Mode:
		return fmt.Errorf("push %s: not a plain file mode: %v", f.Path, f.Mode)
	case len(f.Data) > maxPush:
		return fmt.Errorf("push %s: %d bytes are too many", f.Path, len(f.Data))
	}
	if c.teller != nil && ctx.Err() == nil {
		c.teller.File(f)
		return nil
	}
	return c.Run(ctx, Script{
		Name:  "push " + f.Path,
		Text:  pushText,
		Args:  []string{f.Path, fmt.Sprintf("%04o", mode), strconv.Itoa(len(f.Data))},
		Stdin: f.Data,
		Idle:  2 * time.Minute,
	})
}
