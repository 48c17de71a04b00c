package image

import (
	"fmt"
	"net/url"
	"path"
	"regexp"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Kind is a flavour of Debian's cloud images. The zero value means Generic.
type Kind string

// The flavours that come with cloud-init. There is a third, nocloud, without
// it and with an open root account.
const (
	// Generic has Debian's usual kernel. It is the default: the one for
	// clouds has neither USB, on which UTM puts removable drives, nor DRM,
	// e1000 and 9P; a guest that does not see its seed has no network and no
	// account at all.
	Generic Kind = "generic"
	// GenericCloud has the kernel for clouds, and is a third smaller.
	GenericCloud Kind = "genericcloud"
)

// PinnedDate is the build whose digests are pinned here. Source: programs that
// pin the same files; the dated folder goes away after some months.
const PinnedDate = "20260914-2601"

// pinned is the SHA-512 of the generic archive of PinnedDate.
func pinned(arch string) string {
	switch arch {
	case "arm64":
		return "7bacdeb825f81b7eb5fcd35330ce7160ed60413adfa61f37cff3c4028fdc61dbd444e046c58934cd0494192f53fa2cbcfcca1e8e1d337755b34c6c90dc72f62b"
	case "amd64":
		return "40017fab9e1ed4bd3d2068e49301ac8427d02c2ee418160bdedd041f529e048fa0dc8ddf8f363e85bdb3c33e9f3cf4c5734d98429ba6802bbc4d4a83df7f0f4b"
	}
	return ""
}

// Build names one of Debian's images of trixie (13).
type Build struct {
	Arch   string // of the host, as runtime.GOARCH: arm64 or amd64
	Kind   Kind   // "" is Generic
	Date   string // YYYYMMDD-NUMBER; "" is PinnedDate
	SHA512 string // of the .tar.xz, 128 hex digits; "" is the pinned one, if there is one
}

// Source is an archive and what makes it trusted.
type Source struct {
	URL    string // https, ends in NAME.tar.xz
	SHA512 string // 128 lower-case hex digits
}

// pages is where Debian's images are. The folder of a date does not change,
// as latest/ does.
const pages = "https://cloud.debian.org/images/cloud/trixie/"

// otherImage is what to do if the image cannot be had.
const otherImage = "look for a build at " + pages + " and give it with --image-build=DATE and --image-sha512=HEX (from its SHA512SUMS), or give a file with --image=PATH"

var (
	dateRule   = regexp.MustCompile(`^[0-9]{8}-[0-9]{1,6}$`)
	digestRule = regexp.MustCompile(`^[0-9a-f]{128}$`)
	nameRule   = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._-]{0,120}\.tar\.xz$`)
)

// Source is where the build is and its digest. A build that is not pinned
// needs its SHA512.
func (b Build) Source() (Source, error) {
	if b.Kind == "" {
		b.Kind = Generic
	}
	if b.Date == "" {
		b.Date = PinnedDate
	}
	switch {
	case b.Arch != "arm64" && b.Arch != "amd64":
		return Source{}, fmt.Errorf("there is no image for the architecture %+q", b.Arch)
	case b.Kind != Generic && b.Kind != GenericCloud:
		return Source{}, fmt.Errorf("%+q is no kind of image: %s or %s is wanted", b.Kind, Generic, GenericCloud)
	case !dateRule.MatchString(b.Date):
		return Source{}, fmt.Errorf("%+q is no date of a build: one like %s is wanted", b.Date, PinnedDate)
	}
	if b.SHA512 == "" && b.Kind == Generic && b.Date == PinnedDate {
		b.SHA512 = pinned(b.Arch)
	}
	name := fmt.Sprintf("debian-13-%s-%s-%s.tar.xz", b.Kind, b.Arch, b.Date)
	if b.SHA512 == "" {
		err := fmt.Errorf("the SHA-512 of %s is not known to this program", name)
		return Source{}, hint.Wrap(err, "give the one that stands in "+pages+b.Date+"/SHA512SUMS with --image-sha512=HEX")
	}
	s := Source{URL: pages + b.Date + "/" + name, SHA512: b.SHA512}
	return s, s.check()
}

func (s Source) check() error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || !nameRule.MatchString(path.Base(u.Path)) {
		return fmt.Errorf("image %+q: a https address that ends in NAME.tar.xz is wanted", s.URL)
	}
	if !digestRule.MatchString(s.SHA512) {
		return fmt.Errorf("SHA-512 of image %s: 128 lower-case hex digits are wanted", s.URL)
	}
	return nil
}

// name is the archive's name in the cache; s was checked.
func (s Source) name() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	return path.Base(u.Path)
}
