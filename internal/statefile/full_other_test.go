//go:build !linux

package statefile

// writeToFullDisk is only started on Linux, where a file system can be mounted
// for one process.
func writeToFullDisk(string) int { return 77 }
