//go:build e2e && linux

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// All that a laboratory makes on this machine is found again by its id, which
// is its process's number and a counter: the folder dirPrefix+id, namespaces
// mpdvirt-*-id, cgroups mpdvirt-id-*. So one function removes a laboratory,
// whether it belongs to this run or to one that was killed.

const dirPrefix = "mpd-virt-e2e-"

var (
	ownMu sync.Mutex
	own   = map[string]bool{} // ids of this process's laboratories
)

func removeOwn() {
	ownMu.Lock()
	defer ownMu.Unlock()
	for id := range own {
		removeLab(id)
		os.RemoveAll(filepath.Join(os.TempDir(), dirPrefix+id))
		delete(own, id)
	}
}

// removeLeftovers removes the laboratories of processes that are gone. A
// number that belongs to another process by now is told by its start time.
func removeLeftovers() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, dir := range dirs {
		owner, err := os.ReadFile(filepath.Join(dir, "owner"))
		pid, start, ok := strings.Cut(strings.TrimSpace(string(owner)), " ")
		if n, convErr := strconv.Atoi(pid); err == nil && ok && convErr == nil && startTime(n) != start {
			fmt.Fprintln(os.Stderr, "e2e: removing what a killed run left:", dir)
			removeLab(strings.TrimPrefix(filepath.Base(dir), dirPrefix))
			os.RemoveAll(dir)
		}
	}
}

// startTime is the time at which process pid started, in the kernel's ticks;
// "" if there is no such process.
func startTime(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is the program's name in brackets and may hold blanks.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// removeLab ends the laboratory's processes and removes its cgroups, mounts
// and namespaces. Its folder stays: it holds the logs.
func removeLab(id string) {
	dir := filepath.Join(os.TempDir(), dirPrefix+id)
	for range 50 {
		pids := labPIDs(id)
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(pids) == 0 {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	for _, group := range labCgroups(id) {
		removeCgroup(group)
	}
	for _, mount := range mountsUnder(dir) {
		exec.Command("umount", "-l", mount).Run()
	}
	names := labNamespaces(id)
	// The bridge's namespace goes first: with it go its ends of all cables, and
	// so the other ends, whatever still holds them.
	slices.SortFunc(names, func(a, b string) int {
		return strings.Compare(strings.TrimPrefix(b, "mpdvirt-net-"), strings.TrimPrefix(a, "mpdvirt-net-"))
	})
	for _, name := range names {
		removeNamespace(name)
	}
}

func removeNamespace(name string) {
	exec.Command("ip", "netns", "delete", name).Run()
	os.RemoveAll("/etc/netns/" + name)
}

func labNamespaces(id string) []string {
	paths, _ := filepath.Glob("/run/netns/mpdvirt-*-" + id)
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = filepath.Base(p)
	}
	return names
}

// labPIDs are the processes in the laboratory's namespaces and cgroups.
func labPIDs(id string) []int {
	var pids []int
	add := func(list []byte) {
		for _, f := range strings.Fields(string(list)) {
			if pid, err := strconv.Atoi(f); err == nil && pid != os.Getpid() {
				pids = append(pids, pid)
			}
		}
	}
	for _, name := range labNamespaces(id) {
		list, _ := exec.Command("ip", "netns", "pids", name).Output()
		add(list)
	}
	for _, group := range labCgroups(id) {
		filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				list, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
				add(list)
			}
			return nil
		})
	}
	return pids
}

func labCgroups(id string) []string {
	var groups []string
	for _, root := range cgroupRoots() {
		found, _ := filepath.Glob(filepath.Join(root, "mpdvirt-"+id+"-*"))
		groups = append(groups, found...)
	}
	return groups
}

// removeCgroup removes a cgroup and those below it, lowest first; rmdir is the
// only way. A group stays busy for a moment after its last process.
func removeCgroup(group string) {
	var dirs []string
	filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		for range 20 {
			if err := syscall.Rmdir(dir); err != syscall.EBUSY {
				break
			}
			<-time.After(50 * time.Millisecond)
		}
	}
}

// mountsUnder lists the mount points below dir, the last mounted first.
func mountsUnder(dir string) []string {
	var points []string
	for _, fields := range mounts() {
		if strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	slices.Reverse(points)
	return points
}

// mounts are the lines of /proc/self/mountinfo, split at blanks.
func mounts() [][]string {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	var lines [][]string
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) >= 10 {
			lines = append(lines, fields)
		}
	}
	return lines
}

// cgroupRoots are the hierarchies in which systemd inside a guest must find a
// cgroup of its own: the unified one and, where version 1 is mounted, the one
// named systemd.
func cgroupRoots() []string {
	var roots []string
	for _, fields := range mounts() {
		i := slices.Index(fields, "-")
		if i < 0 || i+3 >= len(fields) {
			continue
		}
		kind, options := fields[i+1], fields[i+3]
		if kind == "cgroup2" || kind == "cgroup" && slices.Contains(strings.Split(options, ","), "name=systemd") {
			roots = append(roots, fields[4])
		}
	}
	return roots
}
