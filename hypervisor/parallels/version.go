package parallels

import (
	"context"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

var _ hypervisor.Versioner = (*Backend)(nil)

// Version is that of Parallels Desktop, as prlctl tells it. It costs one process,
// and needs neither service nor licence.
func (b *Backend) Version(ctx context.Context) (string, error) {
	out, err := b.ask(ctx, argvVersion())
	if err != nil {
		return "", err
	}
	return decodeVersion(out)
}
