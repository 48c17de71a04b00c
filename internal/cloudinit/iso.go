package cloudinit

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// An ISO 9660 image (ECMA-119) with the Joliet names beside the plain ones:
// one folder, all in memory, and nothing in it that depends on when or where
// it was made. Linux shows the plain names in lower case and without ".;1", so
// it finds the files with and without Joliet. Strict 8.3 names would not do:
// cloud-init would silently find nothing.

// file is a file of the image.
type file struct {
	name string // lower case
	data []byte
}

const sector = 2048

// Where things are, in sectors. The first 16 are left to boot loaders.
const (
	primaryAt = 16 + iota
	jolietAt
	endAt
	primaryTableLE
	primaryTableBE
	jolietTableLE
	jolietTableBE
	primaryRoot
	jolietRoot
	filesAt
)

// tableSize is the length of a path table that holds the root alone.
const tableSize = 10

// naming is one of the two sets of names.
type naming struct {
	kind                       byte // of the volume descriptor
	escapes                    string
	text                       func(string) string
	fileName                   func(string) string
	at, tableLE, tableBE, root uint32
}

func namings() [2]naming {
	plain := func(s string) string { return s }
	return [2]naming{
		{1, "", plain, func(s string) string { return strings.ToUpper(s) + ".;1" }, primaryAt, primaryTableLE, primaryTableBE, primaryRoot},
		// Without a version, as mkisofs writes them: some readers show it.
		{2, "%/E", wide, wide, jolietAt, jolietTableLE, jolietTableBE, jolietRoot},
	}
}

// wide is s as Joliet writes it, in UCS-2 with the high byte first.
func wide(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return string(b)
}

// makeISO is the image of files, which must be sorted by name and few enough
// for a root folder of one sector.
func makeISO(label string, files []file) ([]byte, error) {
	size := uint32(filesAt)
	for _, f := range files {
		size += sectors(len(f.data))
	}
	image := make([]byte, size*sector)
	part := func(at uint32) []byte { return image[at*sector : (at+1)*sector] }
	for _, n := range namings() {
		copy(part(n.at), n.descriptor(label, size))
		copy(part(n.tableLE), pathTable(binary.LittleEndian, n.root))
		copy(part(n.tableBE), pathTable(binary.BigEndian, n.root))
		folder := n.folder(files)
		if len(folder) > sector {
			return nil, fmt.Errorf("%d files are too many", len(files))
		}
		copy(part(n.root), folder)
	}
	copy(part(endAt), "\xffCD001\x01")
	at := uint32(filesAt)
	for _, f := range files {
		copy(image[at*sector:], f.data)
		at += sectors(len(f.data))
	}
	return image, nil
}

func sectors(size int) uint32 { return uint32((size + sector - 1) / sector) }

// descriptor is a volume descriptor, ECMA-119 8.4 and 8.5. Offsets below are
// those of the standard less one.
func (n naming) descriptor(label string, size uint32) []byte {
	d := make([]byte, sector)
	d[0] = n.kind
	copy(d[1:], "CD001\x01")
	n.pad(d[8:40], "")
	n.pad(d[40:72], label)
	both32(d[80:], size)
	copy(d[88:120], n.escapes)
	both16(d[120:], 1) // volumes in the set
	both16(d[124:], 1) // this one's number
	both16(d[128:], sector)
	both32(d[132:], tableSize)
	binary.LittleEndian.PutUint32(d[140:], n.tableLE)
	binary.BigEndian.PutUint32(d[148:], n.tableBE)
	copy(d[156:190], record("\x00", n.root, sector, true))
	for _, field := range [][]byte{d[190:318], d[318:446], d[446:574], d[574:702], d[702:739], d[739:776], d[776:813]} {
		n.pad(field, "")
	}
	for _, date := range [][]byte{d[813:830], d[830:847], d[847:864], d[864:881]} {
		copy(date, "0000000000000000\x00") // not said
	}
	d[881] = 1
	return d
}

// pad fills a text field with s and blanks.
func (n naming) pad(field []byte, s string) {
	blank, s := n.text(" "), n.text(s)
	copy(field, s)
	for i := len(s); i+len(blank) <= len(field); i += len(blank) {
		copy(field[i:], blank)
	}
}

// folder is the records of the root folder: itself, the folder above, which
// is itself as well, and the files.
func (n naming) folder(files []file) []byte {
	out := append(record("\x00", n.root, sector, true), record("\x01", n.root, sector, true)...)
	at := uint32(filesAt)
	for _, f := range files {
		out = append(out, record(n.fileName(f.name), at, uint32(len(f.data)), false)...)
		at += sectors(len(f.data))
	}
	return out
}

// record is a directory record, ECMA-119 9.1.
func record(name string, at, size uint32, folder bool) []byte {
	length := 33 + len(name)
	length += length % 2
	r := make([]byte, length)
	r[0] = byte(length)
	both32(r[2:], at)
	both32(r[10:], size)
	copy(r[18:25], []byte{80, 1, 1}) // 1980-01-01: a date that every reader knows
	if folder {
		r[25] = 2
	}
	both16(r[28:], 1)
	r[32] = byte(len(name))
	copy(r[33:], name)
	return r
}

// pathTable is the path table of the root alone, ECMA-119 9.4.
func pathTable(order binary.AppendByteOrder, root uint32) []byte {
	t := []byte{1, 0}
	t = order.AppendUint32(t, root)
	t = order.AppendUint16(t, 1)
	return append(t, 0, 0)
}

// both32 and both16 write a number in both byte orders, one after the other.
func both32(b []byte, n uint32) {
	binary.LittleEndian.PutUint32(b, n)
	binary.BigEndian.PutUint32(b[4:], n)
}

func both16(b []byte, n uint16) {
	binary.LittleEndian.PutUint16(b, n)
	binary.BigEndian.PutUint16(b[2:], n)
}
