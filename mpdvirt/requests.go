package mpdvirt

import (
	"net/netip"
	"time"
)

// SetupRequest says which VM Setup works on. For a registered VM, or one whose
// setup did not finish, Octet alone is enough; the other fields must then be
// empty or as recorded.
type SetupRequest struct {
	Octet   Octet
	Backend string     // "": as recorded, else the default backend
	Addr    netip.Addr // where it answers now; needed by backends that cannot look for it
	User    User       // needed the first time
	// Repo, Branch and BootstrapURL: "" is as recorded, else as in Config.
	Repo, Branch, BootstrapURL string
	// From forces the steps from this ID on to run although they are done.
	From string
	// AcceptHostKey re-pins the VM on purpose: the fingerprint (SHA256:…) of
	// the new host key. What the journal knows of the old VM is then void.
	AcceptHostKey string
}

// StepResult is how one step of Setup, Update, Create or Clone ended.
type StepResult struct {
	ID      string        `json:"id"`                // see StepIDs and the Step constants
	Status  Status        `json:"status"`            // never Skipped
	Summary string        `json:"summary,omitempty"` // for people: what was found or done, or why it failed
	Elapsed time.Duration `json:"elapsed_ns"`        // nanoseconds
}

// SetupSchema is the value of SetupResult.Schema for the layout of this version.
const SetupSchema = "mpd-virt/setup/1"

// SetupResult is what Setup, and likewise Update, did and found. When the verb
// fails it holds what was done until then, and Report is nil if diag did not
// run.
type SetupResult struct {
	Schema string       `json:"schema"`
	VM     VM           `json:"vm"`
	Steps  []StepResult `json:"steps"`
	Report *Report      `json:"report,omitempty"`
	Log    string       `json:"log,omitempty"` // path of the log of this run
	// Warnings are what of an order for a VM could not be had.
	Warnings []string `json:"warnings,omitempty"`
}

// UpdateRequest says which VM Update works on. Octet alone is enough.
type UpdateRequest struct {
	Octet        Octet
	Repo, Branch string // "": as recorded, else as in Config
}

// DiagRequest says which VM Diag looks at.
type DiagRequest struct {
	Octet Octet
}

// DeleteRequest says which VM Delete removes. The zero value of all but Octet
// destroys the VM, if its backend can, and asks before.
type DeleteRequest struct {
	Octet  Octet
	KeepVM bool // forget the VM but leave it on its hypervisor
	Yes    bool // do not ask
}

// DeleteSchema is the value of DeleteResult.Schema for the layout of this version.
const DeleteSchema = "mpd-virt/delete/1"

// DeleteResult is what Delete removed and left.
type DeleteResult struct {
	Schema  string   `json:"schema"`
	Name    string   `json:"name"`           // mpd-NNN
	Removed []string `json:"removed"`        // for people, one thing each
	Left    []string `json:"left,omitempty"` // for people: what it did not touch, and why
}

// CreateRequest says what VM Create makes. Octet and User are needed.
type CreateRequest struct {
	Octet   Octet
	Backend string // "": the default backend
	User    User   // the VM's one account, which Create makes
	RAM     Size   // whole MiB; zero: 8 GiB, or half of the host's memory if that is less
	Disk    Size   // zero: 80 GiB, of which only what is written takes space
	// Image is a file, a raw disk or a .tar.xz of one, in the place of the
	// image of Config; nobody vouches for it but the caller.
	Image string
	// ImageBuild is another of Debian's builds, like "20260914-2601", ImageKind
	// another kind than "generic", which is "genericcloud". ImageSHA512 is the
	// digest of that archive, which must be given with either.
	ImageBuild, ImageKind, ImageSHA512 string
	// Keep leaves a VM whose first boot failed as it is, to be looked at.
	Keep bool
	// Repo, Branch and BootstrapURL: "" is as in Config.
	Repo, Branch, BootstrapURL string
}

// CloneRequest says what VM Clone makes. Octet, Template and User are needed.
type CloneRequest struct {
	Octet    Octet
	Backend  string // "": the default backend
	Template string // its name on the hypervisor
	User     User   // the template's account to log in as
	Linked   bool   // share the template's disk instead of copying it
	RAM      Size   // zero: as the template
	Disk     Size   // zero: as the template; never smaller
	// Repo, Branch and BootstrapURL: "" is as in Config.
	Repo, Branch, BootstrapURL string
}

// StartRequest says which VM Start turns on.
type StartRequest struct {
	Octet Octet
}

// StopRequest says which VM Stop turns off. The zero value of Kill saves its
// memory.
type StopRequest struct {
	Octet Octet
	Kill  bool // cut the power instead of saving the memory
}

// ShowRequest says which VM Show looks at.
type ShowRequest struct {
	Octet Octet
}

// ShowSchema is the value of ShowResult.Schema for the layout of this version.
const ShowSchema = "mpd-virt/vm/1"

// ShowResult is all that is known of a VM without logging in to it.
type ShowResult struct {
	Schema string `json:"schema"`
	VM
	Answers    bool     `json:"answers"`               // it answered one ping
	HostKeys   []string `json:"host_keys,omitempty"`   // pinned fingerprints, SHA256:…
	Alias      string   `json:"alias"`                 // name for ssh
	Dir        string   `json:"dir"`                   // its folder
	ClientConf string   `json:"client_conf,omitempty"` // the WireGuard conf to import
	LastLog    string   `json:"last_log,omitempty"`    // the newest log
	Repo       string   `json:"repo,omitempty"`        // where it was set up from
	Branch     string   `json:"branch,omitempty"`
}

// SSHRequest says which VM to log in to, and what to run there. Args go to ssh as
// they are: the VM's shell reads them, joined by spaces.
type SSHRequest struct {
	Octet Octet
	Args  []string // remote command; empty is a login shell
}

// BackendInfo is a backend of this program and what it can do here.
type BackendInfo struct {
	Name      string   `json:"name"`             // as --backend takes it
	Available bool     `json:"available"`        // it can be used on this machine now
	Reason    string   `json:"reason,omitempty"` // why it is not available
	Default   bool     `json:"default"`          // it is meant where none is named
	Verbs     []string `json:"verbs"`            // what it can do, computed from its methods
}
