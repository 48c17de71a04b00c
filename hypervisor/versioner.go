package hypervisor

import "context"

// Versioner is a backend that can say which release of its hypervisor is
// installed.
type Versioner interface {
	// Version returns the release, fit to be shown: "26.4.1". It does not start
	// the hypervisor. A missing tool is ErrToolMissing.
	Version(ctx context.Context) (string, error)
}
