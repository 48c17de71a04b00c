// Package image gets the disk of a new Debian VM: it downloads and verifies
// the cloud image, unpacks it once, and makes each VM's disk a copy that costs
// neither time nor space where the file system can.
//
// [Build.Source] says which image, [Fetch] downloads it, [Raw] unpacks it and
// [Place] makes the disk of one VM. [Local] looks at a file that the user
// brought instead.
//
// # Trust
//
// An image is trusted for its SHA-512, which is pinned in this program or
// given by the user, and for nothing else: neither the server, nor what lies in
// the cache, nor the pieces of an interrupted download. It is computed anew at
// each use. A file stands under its final name only if it was whole and right.
//
// The cache holds files of several gigabytes, which are written as they come;
// so this package writes by itself what else internal/statefile writes from
// memory, with the same order: write beside, sync, rename, sync the folder.
//
// # Out of scope
//
// Signatures (Debian publishes none beside the images) and other formats than
// a raw disk.
package image
