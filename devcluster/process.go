package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// identity names a process by its pid and its start time, so that a reused pid is not taken for it.
func identity(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	f := strings.Fields(string(raw[strings.LastIndex(string(raw), ")")+1:]))
	if f[0] == "Z" { // dead, but nobody has waited for it yet
		return ""
	}
	return fmt.Sprintf("%d %s", pid, f[19])
}

func pid(file string) int {
	raw, _ := os.ReadFile(file)
	p, _ := strconv.Atoi(strings.SplitN(string(raw), " ", 2)[0])
	return p
}

func alive(file string) bool {
	raw, err := os.ReadFile(file)
	return err == nil && len(raw) > 0 && identity(pid(file)) == string(raw)
}

// end kills the process that a file names, waits until it is gone, and removes the file.
func end(file string) {
	if alive(file) {
		kill(pid(file))
	}
	os.Remove(file)
}

func kill(pid int) {
	was := identity(pid)
	syscall.Kill(pid, syscall.SIGKILL)
	for i := 0; i < 400 && was != "" && identity(pid) == was; i++ {
		time.Sleep(25 * time.Millisecond)
	}
}

// ownProcesses finds the processes that this driver started for a cluster by their command lines, which needs no file:
// an `up` that was killed may have left one that no file names.
func ownProcesses(dir string) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil || p == os.Getpid() {
			continue
		}
		raw, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		f := strings.Split(string(raw), "\x00")
		if len(f) > 2 && f[0] == "devcluster" && internal[f[1]] != nil && f[2] == dir {
			pids = append(pids, p)
		}
	}
	return pids
}

// closeOnExec keeps what this process inherited, such as the lock of `flock COMMAND` or a test runner's pipe, from the
// processes that stay after it.
func closeOnExec() {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// background starts a process of this same program, or another, that outlives this one. Its output goes to a log.
func background(program string, argv []string, log string, inherit []*os.File, sys *syscall.SysProcAttr) (int, error) {
	must(os.MkdirAll(filepath.Dir(log), 0o755))
	out := ok(os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
	defer out.Close()
	null := ok(os.Open(os.DevNull))
	defer null.Close()
	sys.Setsid = true
	p, err := os.StartProcess(program, argv, &os.ProcAttr{Dir: "/", Files: append([]*os.File{null, out, out}, inherit...), Env: os.Environ(), Sys: sys})
	if err != nil {
		return 0, err
	}
	defer p.Release()
	return p.Pid, nil
}

func (c *config) await(what string, limit time.Duration, done func() bool) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(30 * time.Millisecond) {
		if done() {
			return
		}
	}
	fail("%s did not come within %s; logs: %s", what, limit, c.logs())
}

// lastLine is what a log ends with, for an error message.
func lastLine(log string) string {
	raw, _ := os.ReadFile(log)
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return lines[len(lines)-1]
}

func run(program string, args ...string) {
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		fail("%s %s: %v: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
}

func ip(args string) { run("ip", strings.Fields(args)...) }

// inNetwork runs a command in the network namespace of a process.
func inNetwork(pid int, args string) error {
	command := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(pid), "-n"}, strings.Fields(args)...)...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "devcluster: "+format+"\n", args...)
	os.Exit(1)
}

// must ends the program, in one line, on what it cannot mend.
func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func ok[T any](v T, err error) T {
	must(err)
	return v
}

func writeFile(path, text string) { must(os.WriteFile(path, []byte(text), 0o644)) }

// replaceFile writes a file that is there either as it was or as it shall be.
func replaceFile(path string, body []byte) {
	must(os.WriteFile(path+".new", body, 0o644))
	must(os.Rename(path+".new", path))
}
