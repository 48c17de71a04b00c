package utm

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

var (
	uuidText = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	madeText = regexp.MustCompile(`virtual machine id "?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\b`)
	headText = regexp.MustCompile(`^UUID {33}Status +Name$`)
)

const (
	uuidSize = 36
	wordSize = 8 // to which utmctl fills a status up
	maxWord  = 40
)

// decodeTable reads the list that utmctl prints. A name goes to the end of its
// line.
func decodeTable(out []byte) ([]hypervisor.Machine, error) {
	lines := strings.Split(string(out), "\n")
	if len(lines) < 2 || lines[len(lines)-1] != "" || !headText.MatchString(lines[0]) {
		return nil, unreadable("list", errors.New("the head is missing"))
	}
	vms := []hypervisor.Machine{}
	for i, line := range lines[1 : len(lines)-1] {
		m, err := decodeRow(line)
		if err == nil {
			vms, err = add(vms, m)
		}
		if err != nil {
			return nil, unreadable("list", fmt.Errorf("line %d: %w", i+2, err))
		}
	}
	return vms, nil
}

func decodeRow(line string) (hypervisor.Machine, error) {
	if len(line) <= uuidSize || line[uuidSize] != ' ' {
		return hypervisor.Machine{}, errors.New("no UUID")
	}
	uuid, rest := line[:uuidSize], line[uuidSize+1:]
	word, _, _ := strings.Cut(rest, " ")
	width := max(wordSize, len(word))
	if word == "" || len(rest) <= width || strings.Trim(rest[len(word):width+1], " ") != "" {
		return hypervisor.Machine{}, errors.New("no status and name")
	}
	return machine(uuid, word, rest[width+1:])
}

// decodeVMs reads the records of scriptList.
func decodeVMs(out []byte) ([]hypervisor.Machine, error) {
	records, err := decodeRecords(out, "vms")
	if err != nil {
		return nil, err
	}
	vms := []hypervisor.Machine{}
	for i, r := range records {
		m, err := machine(r[0], r[1], r[2])
		if err == nil {
			vms, err = add(vms, m)
		}
		if err != nil {
			return nil, unreadable("list", fmt.Errorf("record %d: %w", i+1, err))
		}
	}
	return vms, nil
}

// decodeRecords reads what the scripts return: records of three fields.
func decodeRecords(out []byte, head string) ([][3]string, error) {
	// The last line end is osascript's.
	text, whole := strings.CutSuffix(string(out), "\n")
	text, ok := strings.CutPrefix(text, head+"\n")
	if !ok || !whole {
		return nil, unreadable(head, errors.New("the head or the end is missing"))
	}
	parts := strings.Split(text, "\x1e")
	if parts[len(parts)-1] != "" {
		return nil, unreadable(head, errors.New("the end is missing"))
	}
	var records [][3]string
	for i, part := range parts[:len(parts)-1] {
		fields := strings.Split(part, "\x1f")
		if len(fields) != 3 {
			return nil, unreadable(head, fmt.Errorf("record %d has %d fields", i+1, len(fields)))
		}
		records = append(records, [3]string(fields))
	}
	return records, nil
}

func machine(uuid, word, name string) (hypervisor.Machine, error) {
	if !uuidText.MatchString(uuid) {
		return hypervisor.Machine{}, fmt.Errorf("%.50q is no UUID", uuid)
	}
	if !utf8.ValidString(name) {
		return hypervisor.Machine{}, errors.New("the name is not UTF-8")
	}
	return hypervisor.Machine{UUID: uuid, Name: name, State: parseState(word)}, nil
}

func add(vms []hypervisor.Machine, m hypervisor.Machine) ([]hypervisor.Machine, error) {
	for _, v := range vms {
		if sameUUID(v.UUID, m.UUID) {
			return nil, fmt.Errorf("%s is there twice", m.UUID)
		}
	}
	return append(vms, m), nil
}

// parseState maps UTM's word for a state. A word that is not UTM's stays as it
// is, without what could disturb a terminal. While UTM saves the memory it says
// "pausing", and afterwards "paused".
func parseState(word string) hypervisor.State {
	word = strings.TrimSpace(plaintext.Clean(word))
	switch word {
	case "started":
		return hypervisor.Running
	case "pausing":
		return hypervisor.Suspending
	case "stopped", "starting", "paused", "resuming", "stopping":
		return hypervisor.State(word)
	}
	if r := []rune(word); len(r) > maxWord {
		word = string(r[:maxWord-1]) + "\u2026"
	}
	switch {
	case word == "":
		return "unknown"
	case hypervisor.State(word).Known(): // what another program means by it is not known of UTM
		return hypervisor.State("utm says " + word)
	}
	return hypervisor.State(word)
}

// decodeMade finds the UUID in the object that make returns.
func decodeMade(out []byte) (string, error) {
	found := madeText.FindSubmatch(out)
	if found == nil {
		return "", unreadable("make", fmt.Errorf("%.80q names no VM", plaintext.Short(string(out))))
	}
	return string(found[1]), nil
}

// decodeDrives reads the records of scriptDrives.
func decodeDrives(out []byte) ([]drive, error) {
	records, err := decodeRecords(out, "drives")
	if err != nil {
		return nil, err
	}
	drives := []drive{}
	seen := map[string]bool{}
	for i, r := range records {
		size, err := strconv.ParseInt(r[2], 10, 40)
		if err != nil || size < 0 || r[1] != "true" && r[1] != "false" || r[0] == "" || seen[r[0]] || plaintext.Short(r[0]) != r[0] {
			return nil, unreadable("drives", fmt.Errorf("record %d: %.120q", i+1, r))
		}
		seen[r[0]] = true
		drives = append(drives, drive{ID: r[0], Removable: r[1] == "true", HostSize: hypervisor.Size(size) * hypervisor.MiB})
	}
	return drives, nil
}

func unreadable(what string, err error) error {
	return fmt.Errorf("what UTM answers to %s cannot be read: %w", what, err)
}

func sameUUID(a, b string) bool { return strings.EqualFold(a, b) }
