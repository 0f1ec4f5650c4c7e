package main

import (
	"fmt"
	"os"
	"os/exec"
	"sort"
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
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	if os.Geteuid() != 0 {
		fail("a node needs root, and this is user %d: run it as root, or use --control-plane-only; or %s", os.Geteuid(), instead)
	}
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err != nil {
		fail("this kernel has no cgroup v1 memory controller, and only the hybrid layout is supported: %s", instead)
	}
	if missing := c.missingPackages(); len(missing) > 0 {
		install(missing)
	}
	for _, helper := range []string{"pause", "runc-wrap"} {
		if _, err := os.Stat(beside(helper)); err != nil {
			fail("%s is missing: remove %s, so that it is built again", beside(helper), cache())
		}
	}
}

func (c *config) missingPackages() []string {
	missing := map[string]bool{}
	need := func(program, pkg string) {
		if _, err := exec.LookPath(program); err != nil {
			missing[pkg] = true
		}
	}
	for program, pkg := range packageOf {
		need(program, pkg)
	}
	if c.Egress {
		need("slirp4netns", "slirp4netns")
	}
	names := []string{}
	for name := range missing {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func install(packages []string) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		fail("missing programs of the packages %s, and there is no apt-get: install them, or %s", strings.Join(packages, " "), instead)
	}
	fmt.Printf("installing %s\n", strings.Join(packages, " "))
	apt := func(args ...string) ([]byte, error) {
		command := exec.Command("apt-get", args...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		return command.CombinedOutput()
	}
	args := append([]string{"install", "-y", "-q", "--no-install-recommends"}, packages...)
	if _, err := apt(args...); err == nil {
		return
	}
	apt("update", "-q") // the lists may be older than the packages; what is wrong is said by the next call
	if out, err := apt(args...); err != nil {
		fail("apt-get %s: %v: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
}
