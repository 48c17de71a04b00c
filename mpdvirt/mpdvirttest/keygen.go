package mpdvirttest

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

// keygenOptions are the parsed arguments of ssh-keygen.
type keygenOptions struct {
	all, quiet, list, public bool
	kind, file, comment      string
	phrase                   bool // a passphrase was given, if only an empty one
}

// sshKeygen plays ssh-keygen: -A, a new key in a file (-t, -f, -N ”, -C, -b, -q),
// -l and -y of a file.
func (v *VM) sshKeygen(_ context.Context, p *debian.Process, args []string) int {
	o, bad := parseKeygen(args[1:])
	switch {
	case bad != "":
		return p.Errorf("ssh-keygen: not played by mpdvirttest: %s", bad)
	case o.all:
		return v.keygenAll(p)
	case o.file == "":
		return p.Errorf("ssh-keygen: not played by mpdvirttest without -f")
	case o.list || o.public:
		return keygenShow(p, o)
	case !o.phrase: // it would ask on a terminal
		return p.Errorf("ssh-keygen: not played by mpdvirttest without -N ''")
	}
	return v.keygenNew(p, o)
}

func parseKeygen(args []string) (o keygenOptions, bad string) {
	o.kind = "ed25519"
	for ; len(args) > 0; args = args[1:] {
		// As with getopt, -lf FILE is -l -f FILE, and -tTYPE is -t TYPE.
		if arg := args[0]; len(arg) > 2 && arg[0] == '-' && arg[1] != '-' {
			rest := arg[2:]
			if strings.IndexByte("Aqly", arg[1]) >= 0 {
				rest = "-" + rest
			}
			args = append([]string{arg[:2], rest}, args[1:]...)
		}
		switch args[0] {
		case "-A":
			o.all = true
		case "-q":
			o.quiet = true
		case "-l":
			o.list = true
		case "-y":
			o.public = true
		case "-t", "-f", "-C", "-N", "-b", "-E", "-a":
			if len(args) < 2 {
				return o, args[0]
			}
			flag, value := args[0], args[1]
			args = args[1:]
			if into := map[string]*string{"-t": &o.kind, "-f": &o.file, "-C": &o.comment}[flag]; into != nil {
				*into = value
			}
			o.phrase = o.phrase || flag == "-N"
			if flag == "-N" && value != "" || flag == "-E" && value != "sha256" {
				return o, flag + " " + value
			}
		default:
			return o, args[0]
		}
	}
	return o, ""
}

// keygenAll makes the host keys that are missing.
func (v *VM) keygenAll(p *debian.Process) int {
	var made []string
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		name := hostKeyFile(kind)
		if _, err := v.root.Stat(name); err == nil {
			continue
		}
		if p.FS.UID() != memfs.Root {
			return p.Errorf("Could not save your private key in %s.CQnGS1ow5a: Permission denied", name)
		}
		if err := v.makeKey(kind, name, "root@"+v.Hostname()); err != nil {
			return p.Errorf("ssh-keygen: %v", err)
		}
		made = append(made, strings.ToUpper(kind))
	}
	if len(made) > 0 {
		p.Printf("ssh-keygen: generating new host keys: %s \n", strings.Join(made, " "))
	}
	return 0
}

func (v *VM) makeKey(kind, name, comment string) error {
	key, err := newKey(kind, v.nextSeed("key"))
	if err != nil {
		return err
	}
	return v.writeKey(name, key, comment)
}

// keygenNew makes one key. A file that is there is overwritten only if the
// input says so.
func (v *VM) keygenNew(p *debian.Process, o keygenOptions) int {
	name := p.Path(o.file)
	if !slices.Contains(hostKeyKinds(), o.kind) {
		return p.Errorf("unknown key type %s", o.kind)
	}
	if !o.quiet {
		p.Printf("Generating public/private %s key pair.\n", o.kind)
	}
	if _, err := p.FS.Lstat(name); err == nil {
		p.Printf("%s already exists.\nOverwrite (y/n)? ", o.file)
		line, _ := bufio.NewReader(p.Stdin).ReadString('\n') // the end is a no
		if !strings.HasPrefix(strings.ToLower(line), "y") {
			return 1
		}
	}
	// Whether the user may write there, the file tells; then root does it.
	if err := p.FS.WriteFile(name, nil, 0o600); err != nil {
		return p.Errorf("Saving key \"%s\" failed: Permission denied", o.file)
	}
	if err := v.makeKey(o.kind, name, orDefault(o.comment, p.User+"@"+v.Hostname())); err != nil {
		return p.Errorf("Saving key \"%s\" failed: %v", o.file, err)
	}
	if err := v.root.Chown(name+".pub", p.FS.UID()); err != nil {
		return p.Errorf("Saving key \"%s\" failed: %v", o.file, err)
	}
	if !o.quiet {
		p.Printf("Your identification has been saved in %s\nYour public key has been saved in %[1]s.pub\n", o.file)
	}
	return 0
}

func orDefault(value, other string) string {
	if value == "" {
		return other
	}
	return value
}

// keygenShow prints the fingerprint or the public half of a key.
func keygenShow(p *debian.Process, o keygenOptions) int {
	data, err := p.FS.ReadFile(p.Path(o.file))
	if err != nil {
		return p.Errorf("ssh-keygen: %s: No such file or directory", o.file)
	}
	key, comment, _, _, err := ssh.ParseAuthorizedKey(data)
	if private, e := ssh.ParsePrivateKey(data); e == nil {
		key, err = private.PublicKey(), nil
	}
	switch {
	case err != nil:
		p.Errorf("%s is not a public key file.", o.file)
		return 255
	case o.public:
		p.Printf("%s", ssh.MarshalAuthorizedKey(key))
		return 0
	}
	kind, bits := key.Type(), 256
	switch {
	case strings.HasPrefix(kind, "ecdsa"):
		kind = "ecdsa"
	case kind == ssh.KeyAlgoRSA:
		bits = rsaBits
	}
	p.Printf("%d %s %s (%s)\n", bits, ssh.FingerprintSHA256(key), orDefault(comment, "no comment"), strings.ToUpper(strings.TrimPrefix(kind, "ssh-")))
	return 0
}

const machineID = "/etc/machine-id"

// machineIDSetup plays systemd-machine-id-setup: a machine-id that is good
// stays, a missing or empty one is made.
func (v *VM) machineIDSetup(_ context.Context, p *debian.Process, args []string) int {
	show := false
	for _, arg := range args[1:] {
		if arg != "--print" {
			return p.Errorf("%s: not played by mpdvirttest: %s", path.Base(args[0]), arg)
		}
		show = true
	}
	if p.FS.UID() != memfs.Root {
		return p.Errorf("Cannot open /etc/machine-id: Permission denied")
	}
	data, _ := v.root.ReadFile(machineID) // a missing one is made, too
	id := strings.TrimSpace(string(data))
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 {
		id = fmt.Sprintf("%x", v.nextSeed("machine-id")[:16])
		p.Errorf("Initializing machine ID from random generator.")
		if err := v.root.WriteFile(machineID, []byte(id+"\n"), 0o444); err != nil {
			return p.Errorf("Failed to write /etc/machine-id: %v", err)
		}
	}
	if show {
		p.Printf("%s\n", id)
	}
	return 0
}

// restartSSH makes sshd read its host keys anew. Connections that exist go on,
// as Debian's unit kills the listener alone; without any host key sshd does not
// start.
func (v *VM) restartSSH(p *debian.Process) int {
	n := v.loadKeys()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.units["ssh"] = n > 0
	if n == 0 {
		if v.listener != nil {
			v.listener.Close() // an error says that it was closed before
			v.listener = nil
		}
		return p.Errorf("Job for ssh.service failed because the control process exited with error code.\n" +
			"See \"systemctl status ssh.service\" and \"journalctl -xeu ssh.service\" for details.")
	}
	if v.listener == nil && v.on {
		if err := v.listenAgain(); err != nil {
			return p.Errorf("Job for ssh.service failed: %v", err)
		}
	}
	return 0
}
