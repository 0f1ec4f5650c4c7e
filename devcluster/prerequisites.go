package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

const instead = "use Docker with kind instead, or an existing cluster (WASESSION_CLUSTER=current)"

// packageOf says which Debian package brings a program that the nodes need.
var packageOf = map[string]string{
	"containerd": "containerd", "ctr": "containerd", "runc": "runc", "ip": "iproute2", "nft": "nftables", "iptables": "iptables",
	"conntrack": "conntrack", "nsenter": "util-linux", "mount": "util-linux", "/usr/lib/cni/bridge": "containernetworking-plugins",
}

// prerequisites installs the packages that are missing, and says in one line what cannot be mended.
func (c *config) prerequisites() {
	if c.ControlPlaneOnly {
		return
	}
	if c.Nodes < 1 || c.Nodes > mostNodes {
		fail("--nodes %d: from 1 to %d", c.Nodes, mostNodes)
	}
	if os.Geteuid() != 0 {
		fail("a node needs root, and this is user %d: run it as root, or use --control-plane-only; or %s", os.Geteuid(), instead)
	}
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err != nil {
		fail("this kernel has no cgroup v1 memory controller, and only the hybrid layout is supported: %s", instead)
	}
	if missing := c.missingPackages(); len(missing) > 0 {
		install(missing)
	}
	if out, err := exec.Command("nft", "list", "tables").CombinedOutput(); err != nil {
		fail("this kernel has no nftables, which kube-proxy needs (%s): %s", strings.TrimSpace(string(out)), instead)
	}
	for _, helper := range []string{"pause", "runc-wrap"} {
		if _, err := os.Stat(beside(helper)); err != nil {
			fail("%s is missing: remove %s, so that it is built again", beside(helper), cache())
		}
	}
}

func (c *config) missingPackages() []string {
	var missing []string
	need := func(program, pkg string) {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	for program, pkg := range packageOf {
		need(program, pkg)
	}
	if c.Egress {
		need("slirp4netns", "slirp4netns")
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

func install(packages []string) {
	list := strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		fail("missing programs of the packages %s, and there is no apt-get: install them, or %s", list, instead)
	}
	fmt.Printf("installing %s\n", list)
	apt := func(args ...string) ([]byte, error) {
		command := exec.Command("apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		return command.CombinedOutput()
	}
	args := append([]string{"install", "-y", "-q", "--no-install-recommends"}, packages...)
	if _, err := apt(args...); err == nil {
		return
	}
	apt("update", "-q") // the lists may be older than the packages; what is wrong is said by the next call
	if out, err := apt(args...); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		fail("apt-get cannot install %s (%s): install them by hand, or %s", list, lines[len(lines)-1], instead)
	}
}
