module github.com/mutms/mpd-virt-macos

go 1.26.0

require (
	github.com/gofrs/flock v0.13.1 // indirect
	github.com/google/go-cmdtest v0.4.0 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/google/renameio v0.1.0 // indirect
	github.com/google/renameio/v2 v2.0.2 // indirect
	github.com/miekg/dns v1.1.73 // indirect
	github.com/skeema/knownhosts v1.3.3 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/term v0.47.0 // indirect
	mvdan.cc/sh/v3 v3.14.1 // indirect
)
