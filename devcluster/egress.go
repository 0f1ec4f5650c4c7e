package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const slirpDNS = "10.0.2.3" // slirp4netns' own resolver, which asks the host's

// outsideNames is the name server's rule for what is not in the cluster: ask outside, or say at once that there is nothing,
// so that nobody waits for a time-out.
func (c *config) outsideNames() string {
	if c.Egress {
		return "forward . " + slirpDNS
	}
	return "template ANY ANY . {\n        rcode NXDOMAIN\n    }"
}

// writeCorefile says whether it changed.
func (c *config) writeCorefile() bool {
	file := filepath.Join(c.Dir, "Corefile")
	was, _ := os.ReadFile(file)
	now := fill(corefile, "@IP@", controlPlaneIP, "@KUBECONFIG@", filepath.Join(c.Dir, "admin.conf"), "@OUTSIDE@", c.outsideNames())
	replaceFile(file, []byte(now))
	return string(was) != now
}

func (c *config) slirpPid() string { return filepath.Join(c.Dir, "slirp4netns.pid") }
func (c *config) slirpFor() string { return filepath.Join(c.Dir, "slirp4netns.for") }

// openWayOut gives the control plane's network namespace, which routes for all nodes, a way out through a user-mode
// network stack, or takes it away. That is a process like any other: nothing of the host's network changes.
func (c *config) openWayOut() {
	plane := pid(c.planePid())
	if c.writeCorefile() {
		if server := processes(c.planeState())["coredns"]; server != 0 {
			run("nsenter", "-t", strconv.Itoa(plane), "-m", "-p", "kill", "-9", strconv.Itoa(server))
			c.await("the name server's end", 5*time.Second, func() bool { return processes(c.planeState())["coredns"] != server })
			must(syscall.Kill(plane, syscall.SIGHUP))
		}
	}
	wanted := ""
	if c.Egress {
		wanted = strconv.Itoa(plane) + " " + strconv.FormatBool(c.EgressHostLoopback)
	}
	if is, _ := os.ReadFile(c.slirpFor()); string(is) == wanted && (wanted == "" || alive(c.slirpPid())) {
		return
	}
	end(c.slirpPid())
	os.Remove(c.slirpFor())
	if !c.Egress {
		return
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		fail("--egress needs the kernel's TUN driver, and there is no /dev/net/tun: %s", instead)
	}
	c.startSlirp(plane)
	c.await("a way out", 10*time.Second, func() bool { return inNetwork(plane, "ip route get 10.0.2.2") == nil })
	inNetwork(plane, "nft delete table ip devcluster") // of an earlier way out
	must(inNetwork(plane, "nft add table ip devcluster"))
	must(inNetwork(plane, "nft add chain ip devcluster out { type nat hook postrouting priority 100 ; }"))
	must(inNetwork(plane, "nft add rule ip devcluster out oifname tap0 masquerade"))
	writeFile(c.slirpFor(), wanted)
}

// startSlirp starts it so that it ends with the control plane: the control plane holds the other end of a pipe with a name.
func (c *config) startSlirp(plane int) {
	pipe := ok(os.OpenFile(c.alivePipe(), os.O_RDONLY|syscall.O_NONBLOCK, 0))
	defer pipe.Close()
	args := []string{"slirp4netns", "--configure", "--exit-fd=3"}
	if !c.EgressHostLoopback {
		args = append(args, "--disable-host-loopback")
	}
	log := filepath.Join(c.logs(), "slirp4netns.log")
	p := ok(background(ok(exec.LookPath("slirp4netns")), append(args, strconv.Itoa(plane), "tap0"), log, []*os.File{pipe}, &syscall.SysProcAttr{}))
	writeFile(c.slirpPid(), identity(p))
}

// alivePipe has a writer, the control plane's process 1, as long as that lives.
func (c *config) alivePipe() string { return filepath.Join(c.Dir, "alive") }

// holdAlivePipe is for the control plane's process 1.
func (c *config) holdAlivePipe() {
	os.Remove(c.alivePipe())
	must(syscall.Mkfifo(c.alivePipe(), 0o600))
	heldPipe = ok(os.OpenFile(c.alivePipe(), os.O_RDWR, 0))
}

var heldPipe *os.File // for the garbage collector, which would close it
