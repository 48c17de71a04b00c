package cloudinit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// maxFiles bounds what Files returns; a seed has three.
const maxFiles = 64

var errISO = errors.New("not an ISO 9660 image")

// Files returns the label of an ISO 9660 image and the files in its root
// folder, under the names that Linux shows without Joliet and Rock Ridge: in
// lower case, without version and final dot. The data is that of image, not
// copied. Folders are left out.
func Files(image []byte) (label string, files map[string][]byte, err error) {
	d := slice(image, primaryAt*sector, sector)
	if d == nil || string(d[:7]) != "\x01CD001\x01" || binary.LittleEndian.Uint16(d[128:]) != sector {
		return "", nil, errISO
	}
	at, size := extent(d[156:190])
	folder := slice(image, at*sector, size)
	if folder == nil {
		return "", nil, fmt.Errorf("%w: its root folder lies outside", errISO)
	}
	files = map[string][]byte{}
	for ; len(folder) > 0; folder = folder[min(sector, len(folder)):] {
		if err := readRecords(image, folder[:min(sector, len(folder))], files); err != nil {
			return "", nil, err
		}
	}
	return strings.TrimRight(string(d[40:72]), " "), files, nil
}

// readRecords adds the files of one sector of a folder. No record crosses the
// end of a sector; a length of zero ends it.
func readRecords(image, records []byte, files map[string][]byte) error {
	for len(records) > 0 && records[0] != 0 {
		length := int(records[0])
		if length < 34 || length > len(records) || 33+int(records[32]) > length {
			return fmt.Errorf("%w: a broken folder", errISO)
		}
		r := records[:length]
		records = records[length:]
		if r[25]&2 != 0 {
			continue
		}
		at, size := extent(r)
		name := linuxName(string(r[33 : 33+int(r[32])]))
		data := slice(image, at*sector, size)
		if _, twice := files[name]; data == nil || twice || len(files) == maxFiles {
			return fmt.Errorf("%w: the file %+q lies outside, is there twice or is one too many", errISO, name)
		}
		files[name] = data
	}
	return nil
}

// linuxName is what isofs makes of a plain name.
func linuxName(s string) string {
	return strings.TrimSuffix(strings.ToLower(strings.TrimSuffix(s, ";1")), ".")
}

// extent is where a record's data begins, in sectors, and its size.
func extent(r []byte) (at, size int64) {
	return int64(binary.LittleEndian.Uint32(r[2:])), int64(binary.LittleEndian.Uint32(r[10:]))
}

// slice is nil if the part lies outside of b.
func slice(b []byte, at, size int64) []byte {
	if at+size > int64(len(b)) {
		return nil
	}
	return b[at : at+size : at+size]
}
