package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// outsideNames is the name server's rule for what is not in the cluster: ask outside, or say at once that there is nothing,
// so that nobody waits for a time-out.
func (c *config) outsideNames() string {
	if c.Egress {
		return "forward . " + slirpDNS
	}
	return "template ANY ANY . {\n        rcode NXDOMAIN\n    }"
}

// openWayOut gives the control plane's network namespace, which routes for all nodes, a way out through a user-mode
// network stack. That is a process like any other: nothing of the host's network changes.
func (c *config) openWayOut() {
	pidFile := filepath.Join(c.Dir, "slirp4netns.pid")
	if !c.Egress {
		end(pidFile)
		return
	}
	if alive(pidFile) {
		return
	}
	plane := strconv.Itoa(pid(filepath.Join(c.Dir, "control-plane.pid")))
	log := ok(os.OpenFile(filepath.Join(c.Dir, "logs", "slirp4netns.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
	defer log.Close()
	null := ok(os.Open(os.DevNull))
	defer null.Close()
	args := []string{"slirp4netns", "--configure", "--mtu=65520"}
	if !c.EgressHostLoopback {
		args = append(args, "--disable-host-loopback")
	}
	p := ok(os.StartProcess(ok(exec.LookPath("slirp4netns")), append(args, plane, "tap0"),
		&os.ProcAttr{Files: []*os.File{null, log, log}, Env: os.Environ(), Sys: &syscall.SysProcAttr{Setsid: true}}))
	writeFile(pidFile, identity(p.Pid))
	p.Release()
	inside := func(args string) error {
		return exec.Command("nsenter", append([]string{"-t", plane, "-n"}, strings.Fields(args)...)...).Run()
	}
	c.await("a way out", 10*time.Second, func() bool { return inside("ip route get 10.0.2.2") == nil })
	if inside("iptables -t nat -C POSTROUTING -o tap0 -j MASQUERADE") != nil {
		must(inside("iptables -t nat -A POSTROUTING -o tap0 -j MASQUERADE"))
	}
}
