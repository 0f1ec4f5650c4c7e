package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

var cgroupControllers = []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd", "unified"}

// ownCgroups says where in each hierarchy this process is.
func ownCgroups() map[string]string {
	own := map[string]string{}
	for _, line := range strings.Split(string(ok(os.ReadFile("/proc/self/cgroup"))), "\n") {
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		names := strings.Split(strings.TrimPrefix(f[1], "name="), ",")
		if f[0] == "0" {
			names = []string{"unified"}
		}
		for _, n := range names {
			for _, c := range cgroupControllers {
				if n == c {
					own[c] = f[2]
				}
			}
		}
	}
	return own
}

// leaveCgroups removes what a killed node left in the cgroup tree, and says whether anything is still there.
// The name may be a pattern.
func leaveCgroups(name string) (left bool) {
	for _, controller := range cgroupControllers {
		found := []string{}
		filepath.WalkDir(filepath.Join("/sys/fs/cgroup", controller), func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() && matches(name, path) {
				found = append(found, path)
				return filepath.SkipDir
			}
			return nil
		})
		for _, m := range found {
			dirs := []string{}
			filepath.WalkDir(m, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return nil
			})
			for i := len(dirs) - 1; i >= 0; i-- {
				syscall.Rmdir(dirs[i])
			}
			if _, err := os.Stat(m); err == nil {
				left = true
			}
		}
	}
	return left
}

func matches(pattern, path string) bool {
	yes, err := filepath.Match(pattern, filepath.Base(path))
	return err == nil && yes
}
