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

// controlPlaneRuns says whether every process of the control plane is there.
func (c *config) controlPlaneRuns() bool {
	expected := []string{"etcd", "kube-apiserver", "kube-controller-manager"}
	if !c.ControlPlaneOnly {
		expected = append(expected, "kube-scheduler", "coredns", "provisioner")
	}
	return runs(filepath.Join(c.Dir, "control-plane.pid"), filepath.Join(c.Dir, "control-plane.json"), expected)
}

func (c *config) nodeRuns(name string) bool {
	n := c.node(name)
	return runs(filepath.Join(n, "init.pid"), filepath.Join(n, "processes.json"), []string{"containerd", "kubelet", "kube-proxy"})
}

func runs(pidFile, state string, expected []string) bool {
	if !alive(pidFile) {
		return false
	}
	running := processes(state)
	for _, name := range expected {
		if running[name] == 0 {
			return false
		}
	}
	return true
}

// processes reads the pids that a supervisor wrote down; in a process namespace of its own they are that namespace's.
func processes(state string) map[string]int {
	byName := map[string]int{}
	if raw, err := os.ReadFile(state); err == nil {
		must(json.Unmarshal(raw, &byName))
	}
	return byName
}

func (c *config) endNode(name string) {
	if _, err := os.Stat(c.node(name)); err != nil {
		return
	}
	end(filepath.Join(c.node(name), "init.pid"))
	for try := 0; try < 40 && leaveCgroups(c.cgroup(name)); try++ { // the kernel needs a moment to bury the processes
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *config) stop() {
	end(filepath.Join(c.Dir, "slirp4netns.pid"))
	nodes, _ := os.ReadDir(filepath.Join(c.Dir, "nodes"))
	for _, n := range nodes {
		c.endNode(n.Name())
	}
	end(filepath.Join(c.Dir, "control-plane.pid"))
	if c.ControlPlaneOnly { // without a process namespace the children outlive their parent
		for name, pid := range processes(filepath.Join(c.Dir, "control-plane.json")) {
			command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if strings.HasPrefix(string(command), name+"\x00") && strings.Contains(string(command), c.Dir) {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	os.Remove(filepath.Join(c.Dir, "control-plane.json"))
}

func status(c *config) {
	show := func(what, pidFile, state string) {
		if !alive(pidFile) {
			fmt.Printf("%-14s down\n", what)
			return
		}
		names := []string{}
		for name := range processes(state) {
			names = append(names, name)
		}
		sort.Strings(names)
		fmt.Printf("%-14s pid %d: %s\n", what, pid(pidFile), strings.Join(names, " "))
	}
	show("control-plane", filepath.Join(c.Dir, "control-plane.pid"), filepath.Join(c.Dir, "control-plane.json"))
	if c.ControlPlaneOnly {
		return
	}
	for i := 1; i <= c.Nodes; i++ {
		n := c.node(c.nodeName(i))
		show(c.nodeName(i), filepath.Join(n, "init.pid"), filepath.Join(n, "processes.json"))
	}
}

func (c *config) operate(command, where string, args []string) {
	pidFile, state := filepath.Join(c.node(where), "init.pid"), filepath.Join(c.node(where), "processes.json")
	if where == "control-plane" {
		pidFile, state = filepath.Join(c.Dir, "control-plane.pid"), filepath.Join(c.Dir, "control-plane.json")
	}
	if !alive(pidFile) {
		fail("%s does not run", where)
	}
	p, plane := strconv.Itoa(pid(pidFile)), strconv.Itoa(pid(filepath.Join(c.Dir, "control-plane.pid")))
	switch command {
	case "in":
		argv := append([]string{"nsenter", "-t", p, "-m", "-u", "-i", "-n", "-p", "--"}, args...)
		must(syscall.Exec(ok(exec.LookPath("nsenter")), argv, os.Environ()))
	case "cut":
		run("nsenter", "-t", plane, "-n", "ip", "link", "set", "v-"+where, "down")
	case "heal":
		run("nsenter", "-t", plane, "-n", "ip", "link", "set", "v-"+where, "up")
	case "kill":
		if len(args) == 0 {
			end(pidFile)
			return
		}
		process := processes(state)[args[0]]
		if process == 0 {
			fail("%s does not run on %s", args[0], where)
		}
		run("nsenter", "-t", p, "-m", "-p", "kill", "-9", strconv.Itoa(process))
	}
}
