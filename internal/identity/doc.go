// Package identity keeps what proves who is who: the certificate authority
// that signs *.mpd.test, the WireGuard keys of the Mac and of each VM, and the
// tunnel configurations made from them.
//
// [Store.Ensure] creates what is missing, checks what is there and returns all
// of it; [Store.Load] and [Store.CA] only read. [Store.Rotate] puts a new CA in
// the place of the old one, which stays trusted until [Store.Retire];
// [Store.CompareServerKey] says whether a VM uses the key that its tunnel
// expects. All of it lives in one folder, ~/.mpd-virt/conf, and survives the
// deletion of a VM: a VM that is made again at the same octet gets the same
// keys.
//
// # What is never done
//
// A private key is not made again while anything that came from it is still
// there: its public half, its certificate, a configuration that names it.
// Such a state is an error that names the file, because a silently changed key
// shows only much later, as a tunnel without a handshake or as a browser
// warning. Halves that follow from a private key (certificate, public key,
// configurations) are completed, and files are written in that order, so that
// a call that was killed at any point is finished by the next one.
//
// The one private key that is ever replaced is the CA's, by Rotate alone, which
// keeps the old certificate and not the old key.
//
// # Out of scope
//
// Trusting the CA on the Mac, pushing files to a VM, asking it which CA it has,
// importing a tunnel into WireGuard.app, and locking: whoever calls Ensure,
// Rotate or Retire holds the lock for shared files. Leaf certificates are signed
// inside the VM.
//
// network.go holds the addresses and names that all VMs share.
package identity
