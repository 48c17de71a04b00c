// Package cloudinit makes the NoCloud seed: the small disk from which
// cloud-init in a new Debian VM reads who may log in, under which host key and
// at which address.
//
// Fill a [Seed] and call [Seed.WriteFile]. [ParsePublicKey] reads what a .pub
// file holds, [GenerateHostKey] makes the VM's host key, so that it is known
// before the first boot. [Read] is the way back, for those that play a VM.
//
// The documents are JSON, which cloud-init reads as the YAML that it is, and
// hold printable ASCII alone: no name, key or comment can add a line or a
// field. The disk holds the private host key: it belongs in a closed folder
// and away after the first boot.
//
// # Out of scope
//
// Attaching the disk to a VM, waiting for cloud-init and removing the disk
// are the business of the backend and of its caller.
package cloudinit
