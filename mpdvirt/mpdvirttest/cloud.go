package mpdvirttest

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/cloudinit"
)

// CloudInit is how cloud-init ends in a VM that is made from nothing, at the
// boot at which it reads its seed. The zero value is that all went well.
type CloudInit string

// The ends of cloud-init.
const (
	CloudInitDone     CloudInit = ""         // exit status 0
	CloudInitDegraded CloudInit = "degraded" // 2: it complains, and all is done
	CloudInitError    CloudInit = "error"    // 1: a module failed, and the logs tell which
	CloudInitNever    CloudInit = "never"    // it runs for ever, at later boots with a seed, too
)

// cloudPlan is what becomes of cloud-init behind the stage that makes the
// account.
type cloudPlan struct {
	outcome CloudInit
	delay   time.Duration
	restart bool
}

// cloudState is cloud-init since a boot. Besides the last two fields it does not
// change.
type cloudState struct {
	// disabled says why it does not run, and code is that for machines; "" if it
	// runs.
	disabled, code string
	outcome        CloudInit
	fresh          bool // this boot made the account
	begun          time.Time

	done  chan struct{} // closed at the end
	ended time.Time     // set before that
}

const (
	cloudInitPackage = "cloud-init"
	cloudVersion     = "25.1.4-1+deb13u1"
	cloudSource      = "DataSourceNoCloud [seed=/dev/vdb]"

	cloudDir      = "/var/lib/cloud"
	instanceFile  = cloudDir + "/data/instance-id"
	bootFinished  = cloudDir + "/instance/boot-finished"
	cloudOff      = "/etc/cloud/cloud-init.disabled"
	cloudLog      = "/var/log/cloud-init.log"
	cloudPrintLog = "/var/log/cloud-init-output.log"
)

// installCloud fills the VM's disk with Debian's image for clouds: nobody can
// log in, and sshd has no host key. It has curl; whether the real one has wget is
// not known, so that none is the harder case.
func (v *VM) installCloud() error {
	v.opts.User, v.opts.Hostname = "", "localhost"
	packages := []string{cloudInitPackage, "cloud-guest-utils", "netplan.io", "unattended-upgrades", "xz-utils"}
	return errors.Join(v.installSystem(packages), v.root.WriteFile(machineID, nil, 0o444))
}

// cloudBoot is what happens before the network and sshd come up: the VM gets a
// machine-id if it has none, and cloud-init becomes what image, the disk beside
// the system's, says; nil is none.
func (v *VM) cloudBoot(image []byte, plan cloudPlan) *cloudState {
	st := &cloudState{done: make(chan struct{}), begun: v.now()}
	err := v.initMachineID()
	seed, unread := cloudinit.Read(image)
	last, _ := v.root.ReadFile(instanceFile) // none is not this one
	_, present := v.root.Stat(cloudOff)
	switch {
	case present == nil:
		st.code, st.disabled = "disabled-by-marker-file", "Cloud-init disabled by "+cloudOff
	case unread != nil: // no data source: Debian's policy is to do nothing
		st.code, st.disabled = "disabled-by-generator", "Cloud-init disabled by cloud-init-generator"
	case strings.TrimSpace(string(last)) != seed.InstanceID:
		st.fresh, st.outcome = true, plan.outcome
		err = errors.Join(err, v.provision(seed, image))
	}
	if st.disabled == "" {
		err = errors.Join(err, v.root.RemoveAll(bootFinished))
		if plan.outcome == CloudInitNever {
			st.outcome = plan.outcome
		}
		if err != nil { // a full disk, for one
			st.outcome = CloudInitError
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cloud = st
	return st
}

func (v *VM) initMachineID() error {
	id, err := v.root.ReadFile(machineID)
	if err == nil && len(strings.TrimSpace(string(id))) == 32 {
		return nil
	}
	return v.root.WriteFile(machineID, fmt.Appendf(nil, "%x\n", v.nextSeed("machine-id")[:16]), 0o444)
}

// provision makes the VM what the seed says. An account of an earlier seed keeps
// its files, but nobody logs in to it any more.
func (v *VM) provision(s cloudinit.Seed, image []byte) error {
	signer, err := ssh.ParsePrivateKey(s.HostKey)
	if err != nil {
		return err
	}
	_, documents, err := cloudinit.Files(image)
	if err != nil {
		return err
	}
	var errs []error
	for _, kind := range hostKeyKinds() { // ssh_deletekeys
		errs = append(errs, v.root.RemoveAll(hostKeyFile(kind)), v.root.RemoveAll(hostKeyFile(kind)+".pub"))
	}
	errs = append(errs, v.SetHostname(s.HostName), v.writeAccount(string(s.User), v.opts.Shell, s.PublicKey+"\n"))
	instance := cloudDir + "/instances/" + s.InstanceID
	errs = append(errs, v.root.RemoveAll(cloudDir+"/instance"))
	for _, f := range []struct {
		name, text string
		perm       fs.FileMode
	}{
		{hostKeyFile("ed25519"), string(s.HostKey), 0o600},
		{hostKeyFile("ed25519") + ".pub", string(ssh.MarshalAuthorizedKey(signer.PublicKey())), 0o644},
		{"/etc/sudoers.d/90-cloud-init-users", fmt.Sprintf("# Created by cloud-init v. %s\n\n# User rules for %s\n%[2]s ALL=(ALL) NOPASSWD:ALL\n", cloudVersion, s.User), 0o440},
		{"/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication no\n", 0o600},
		{netplanFile, netplan(s), 0o600},
		{instanceFile, s.InstanceID + "\n", 0o644},
		{instance + "/user-data.txt", string(documents["user-data"]), 0o600},
	} {
		errs = append(errs, v.root.RemoveAll(f.name), v.root.WriteFile(f.name, []byte(f.text), f.perm))
	}
	errs = append(errs, v.root.Symlink(instance, cloudDir+"/instance"))
	v.mu.Lock()
	v.opts.User = string(s.User)
	v.mu.Unlock()
	return errors.Join(errs...)
}

// netplan is what cloud-init makes of the seed's network, as far as it matters.
func netplan(s cloudinit.Seed) string {
	return fmt.Sprintf(`network:
  version: 2
  ethernets:
    primary:
      match:
        macaddress: "%v"
      dhcp4: false
      addresses:
      - "%v"
      nameservers:
        addresses:
        - %v
      routes:
      - to: "0.0.0.0/0"
        via: "%[3]v"
`, s.MAC, s.Addr, s.Gateway)
}

// cloudStages is what cloud-init does when sshd answers already: it restarts
// that, and later it is done.
func (v *VM) cloudStages(st *cloudState, plan cloudPlan) {
	if st.disabled != "" {
		return
	}
	restart := plan.restart && st.fresh
	if restart && plan.delay <= 0 {
		plan.delay = 2 * time.Second // the restart comes before the end
	}
	if restart {
		v.w.later(plan.delay/2, func() { v.bounceSSH(st) })
	}
	switch {
	case st.outcome == CloudInitNever:
	case plan.delay <= 0:
		v.cloudEnd(st)
	default:
		v.w.later(plan.delay, func() { v.cloudEnd(st) })
	}
}

// sshGap is how long nobody listens while sshd restarts.
const sshGap = 200 * time.Millisecond

// bounceSSH restarts sshd, and ends all connections: a client that was there
// early may be cut in the middle.
func (v *VM) bounceSSH(st *cloudState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cloud != st || !v.on || v.listener == nil {
		return
	}
	v.listener.Close() // an error says that it was closed before
	v.listener = nil
	for c := range v.conns {
		c.Close() // likewise
	}
	clear(v.conns)
	v.w.later(sshGap, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.cloud == st && v.on && v.listener == nil {
			_ = v.listenAgain() // fails only where somebody else has the address by now
		}
	})
}

// cloudEnd writes down how it ended, unless the VM was turned off before.
func (v *VM) cloudEnd(st *cloudState) {
	now := v.now()
	v.mu.Lock()
	current := v.cloud == st && v.on
	st.ended = now
	v.mu.Unlock()
	if !current {
		return
	}
	log, printed := st.logs()
	// A disk that is full takes no logs, and cloud-init ends all the same.
	_ = v.appendLog(cloudLog, log)
	_ = v.appendLog(cloudPrintLog, printed)
	_ = v.root.WriteFile(bootFinished, fmt.Appendf(nil, "%.2f - %s - v. 25.1.4\n", st.uptime(), now.UTC().Format(cloudTime)), 0o644)
	close(st.done)
}

func (v *VM) appendLog(name, text string) error {
	old, _ := v.root.ReadFile(name) // a missing one is made
	return v.root.WriteFile(name, append(old, text...), 0o640)
}
