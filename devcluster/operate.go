package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	planeProcesses = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "coredns", "provisioner"}
	nodeProcesses  = []string{"containerd", "kubelet", "kube-proxy"}
)

// expectedPlane is what a control plane consists of.
func (c *config) expectedPlane() []string {
	if c.ControlPlaneOnly {
		return planeProcesses[:3]
	}
	return planeProcesses
}

// processes reads the pids that a supervisor wrote down; in a process namespace of its own they are that namespace's.
func processes(state string) map[string]int {
	byName := map[string]int{}
	if raw, err := os.ReadFile(state); err == nil {
		json.Unmarshal(raw, &byName)
	}
	return byName
}

func (c *config) endNode(name string) {
	end(c.nodePid(name))
	leaveAllCgroups(c.cgroup(name))
}

// leaveAllCgroups tries for a while: the kernel needs a moment to bury the processes.
func leaveAllCgroups(pattern string) {
	for try := 0; try < 100 && leaveCgroups(pattern); try++ {
		time.Sleep(50 * time.Millisecond)
	}
}

// stop ends every process of the cluster in a directory, known or not, and keeps the files.
func stop(dir string) {
	end(filepath.Join(dir, "slirp4netns.pid"))
	for _, p := range ownProcesses(dir) { // process 1 of each namespace takes the rest along
		kill(p)
	}
	leaveAllCgroups(cgroupPrefix(dir) + "*")
	for _, file := range []string{"control-plane.pid", "control-plane.json", "slirp4netns.for", "alive"} {
		os.Remove(filepath.Join(dir, file))
	}
}

// remove leaves nothing of a cluster.
func remove(dir string) {
	if _, err := os.Stat(dir); err != nil {
		return
	}
	stop(dir)
	err := os.RemoveAll(dir)
	for try := 0; try < 40 && err != nil; try++ { // the last writers may be dying still
		time.Sleep(50 * time.Millisecond)
		err = os.RemoveAll(dir)
	}
	must(err)
}

// A line of `status`.
type part struct {
	name, pidFile, state string
	expected             []string
}

func (c *config) parts() []part {
	parts := []part{{"control-plane", c.planePid(), c.planeState(), c.expectedPlane()}}
	if !c.ControlPlaneOnly {
		for i := 1; i <= c.Nodes; i++ {
			n := c.nodeName(i)
			parts = append(parts, part{n, c.nodePid(n), c.nodeState(n), nodeProcesses})
		}
	}
	return parts
}

// missing says which processes of a part do not run: all, when its process 1 does not.
func (p part) missing() []string {
	if !alive(p.pidFile) {
		return p.expected
	}
	var missing []string
	running := processes(p.state)
	for _, name := range p.expected {
		if running[name] == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}

// works says whether every process is there.
func (c *config) works() bool {
	for _, p := range c.parts() {
		if len(p.missing()) > 0 {
			return false
		}
	}
	return true
}

func (c *config) status() {
	for _, p := range c.parts() {
		if !alive(p.pidFile) {
			fmt.Printf("%-14s down\n", p.name)
			continue
		}
		names := []string{}
		for name := range processes(p.state) {
			names = append(names, name)
		}
		sort.Strings(names)
		fmt.Printf("%-14s pid %d: %s\n", p.name, pid(p.pidFile), strings.Join(names, " "))
		if missing := p.missing(); len(missing) > 0 {
			fmt.Printf("%-14s missing: %s (`devcluster up` starts them)\n", "", strings.Join(missing, " "))
		}
	}
	if c.Egress {
		fmt.Printf("%-14s %s\n", "way out", map[bool]string{true: "open", false: "down"}[alive(c.slirpPid())])
	}
	fmt.Printf("%-14s https://127.0.0.1:%d, KUBECONFIG=%s\n", "API server", c.Port, c.kubeconfig())
	for _, m := range c.Ports {
		fmt.Printf("%-14s %s leads to port %d of n1\n", "port", m.host(), m.ContainerPort)
	}
	if !c.works() {
		os.Exit(1)
	}
}

func (c *config) operate(command, where string, args []string) {
	var at *part
	for _, p := range c.parts() {
		if p.name == where {
			at = &p
		}
	}
	if at == nil {
		fail("there is no %q in this cluster: `devcluster status` names what there is", where)
	}
	if !alive(at.pidFile) {
		fail("%s does not run", where)
	}
	if c.ControlPlaneOnly && command != "kill" {
		fail("a cluster made with --control-plane-only has no nodes, and no namespaces to enter")
	}
	p := strconv.Itoa(pid(at.pidFile))
	switch command {
	case "in":
		if len(args) == 0 {
			fail("in %s: which command?", where)
		}
		argv := append([]string{"nsenter", "-t", p, "-m", "-u", "-i", "-n", "-p", "--"}, args...)
		must(syscall.Exec(ok(exec.LookPath("nsenter")), argv, os.Environ()))
	case "cut", "heal":
		if where == "control-plane" {
			fail("%s takes a node", command)
		}
		must(inNetwork(pid(c.planePid()), "ip link set v-"+where+" "+map[string]string{"cut": "down", "heal": "up"}[command]))
	case "kill":
		c.kill(at, args)
	}
}

func (c *config) kill(at *part, args []string) {
	if len(args) == 0 {
		end(at.pidFile)
		return
	}
	process := processes(at.state)[args[0]]
	switch {
	case process == 0:
		fail("%s does not run on %s", args[0], at.name)
	case c.ControlPlaneOnly:
		must(syscall.Kill(process, syscall.SIGKILL))
	default:
		run("nsenter", "-t", strconv.Itoa(pid(at.pidFile)), "-m", "-p", "kill", "-9", strconv.Itoa(process))
	}
}
