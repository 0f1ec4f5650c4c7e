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

func identity(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	f := strings.Fields(string(raw[strings.LastIndex(string(raw), ")")+1:]))
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

func end(file string) {
	if alive(file) {
		syscall.Kill(pid(file), syscall.SIGKILL)
		for i := 0; i < 200 && alive(file); i++ {
			time.Sleep(25 * time.Millisecond)
		}
	}
	os.Remove(file)
}

func (c *config) await(what string, limit time.Duration, done func() bool) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(30 * time.Millisecond) {
		if done() {
			return
		}
	}
	fail("%s did not come within %s; logs: %s", what, limit, filepath.Join(c.Dir, "logs"))
}

func run(program string, args ...string) {
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		fail("%s %s: %v: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "devcluster: "+format+"\n", args...)
	os.Exit(1)
}

// must ends the program on what cannot be mended: a broken machine, not a user's mistake.
func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func ok[T any](v T, err error) T {
	must(err)
	return v
}

func ip(args string) { run("ip", strings.Fields(args)...) }

func writeFile(path, text string) { must(os.WriteFile(path, []byte(text), 0o644)) }
