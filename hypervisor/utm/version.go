package utm

import (
	"context"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

var _ hypervisor.Versioner = (*Backend)(nil)

// Version is UTM's, from its bundle. It costs one process. The error is that of
// Available about the tool and its version.
func (b *Backend) Version(ctx context.Context) (string, error) {
	version, err := b.version(ctx)
	if err != nil {
		return "", err
	}
	return version, nil
}
