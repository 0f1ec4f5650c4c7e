package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// launchNode puts itself into cgroups made for the node below those it is in, so that the node stays inside whatever
// limits the caller has, and starts the node's process 1 in fresh namespaces. Killing either of the two ends the node.
func launchNode(c *config, name string) {
	runtime.LockOSThread() // Pdeathsig follows the thread that forked
	leaveCgroups(c.cgroup(name))
	for controller, own := range ownCgroups() {
		dir := filepath.Join("/sys/fs/cgroup", controller, own, c.cgroup(name))
		must(os.MkdirAll(dir, 0o755))
		if controller == "cpuset" {
			for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
				writeFile(filepath.Join(dir, f), string(ok(os.ReadFile(filepath.Join("/sys/fs/cgroup/cpuset", f)))))
			}
		}
		writeFile(filepath.Join(dir, "cgroup.procs"), fmt.Sprint(os.Getpid()))
	}
	p := ok(os.StartProcess("/proc/self/exe", []string{"devcluster", "node-init", c.Dir, name}, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Env: os.Environ(),
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID |
			syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWCGROUP}}))
	writeFile(c.nodePid(name), identity(p.Pid))
	p.Wait()
}

// nodeInit is process 1 of a node: containerd, the kubelet and kube-proxy over mounts that nobody else sees.
func nodeInit(c *config, name string) {
	n := c.node(name)
	must(syscall.Sethostname([]byte(name)))
	mountNode(c.Dir, n)
	ip("link set lo up")
	writeFile("/proc/sys/net/ipv4/ip_forward", "1")
	os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0o644)
	extendPath()
	s := newSupervisor(filepath.Join(n, "logs"), c.nodeState(name))
	s.start("containerd", ok(exec.LookPath("containerd")), "--config", filepath.Join(n, "containerd.toml"))
	go func() {
		for !answers(containerdSocket) {
			time.Sleep(20 * time.Millisecond)
		}
		for { // the host connects eth0
			if _, err := os.Stat(c.connected(name)); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		s.self("kubelet", append([]string{"--config=" + filepath.Join(n, "kubelet.yaml"), "--kubeconfig=" + filepath.Join(n, "kubelet.conf"),
			"--hostname-override=" + name, "--node-ip=" + c.nodeIP(name)}, c.KubeletArgs...)...)
		s.self("kube-proxy", "--kubeconfig="+filepath.Join(c.Dir, "kube-proxy.conf"), "--hostname-override="+name, "--proxy-mode=nftables",
			"--cluster-cidr="+podCIDR, "--conntrack-max-per-core=0", "--conntrack-min=0", "--oom-score-adj=0")
	}()
	s.reap()
}

// The settings of the whole kernel that a kubelet wants to see, with the values it wants (Kubernetes' pkg/kubelet/cm,
// setupKernelTunables). A file with the value lies over each, so that it has nothing to change.
var wantedByKubelet = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// mountNode makes the node's own view of the file system. Programs come from the host; what a node writes to goes to n.
func mountNode(cluster, n string) {
	must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	syscall.Unmount("/sys", syscall.MNT_DETACH)
	must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, "")) // volumes with mountPropagation need it
	must(syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""))
	must(syscall.Mount("sysfs", "/sys", "sysfs", 0, ""))
	must(syscall.Mount("cgroup", "/sys/fs/cgroup", "tmpfs", 0, "mode=755"))
	for _, controller := range cgroupControllers {
		dir, kind, options := filepath.Join("/sys/fs/cgroup", controller), "cgroup", controller
		must(os.Mkdir(dir, 0o755))
		switch controller {
		case "systemd":
			options = "none,name=systemd"
		case "unified":
			kind, options = "cgroup2", ""
		}
		must(syscall.Mount("cgroup", dir, kind, 0, options))
	}
	hide("/run", cluster)
	hide("/var/lib", cluster)
	hide("/var/log", cluster)
	for from, to := range map[string]string{"kubelet": "/var/lib/kubelet", "pods": "/var/log/pods", "containers": "/var/log/containers", "cni": "/var/lib/cni"} {
		must(os.MkdirAll(filepath.Join(n, from), 0o755))
		must(os.MkdirAll(to, 0o755))
		must(syscall.Mount(filepath.Join(n, from), to, "", syscall.MS_BIND, ""))
	}
	must(syscall.Mount("", "/var/lib/kubelet", "", syscall.MS_REC|syscall.MS_SHARED, ""))
	must(syscall.Mount(filepath.Join(n, "resolv.conf"), "/etc/resolv.conf", "", syscall.MS_BIND, ""))
	for setting, value := range wantedByKubelet {
		file := filepath.Join("/run", strings.ReplaceAll(setting, "/", "."))
		writeFile(file, value+"\n")
		if _, err := os.Stat(filepath.Join("/proc/sys", setting)); err == nil {
			must(syscall.Mount(file, filepath.Join("/proc/sys", setting), "", syscall.MS_BIND, ""))
		}
	}
}

// hide puts an empty directory over one of the host's, so that what the node makes there never reaches the host. The
// cluster's own directory stays visible, should it lie below.
func hide(path, cluster string) {
	below := strings.HasPrefix(cluster, path+"/")
	if below {
		must(syscall.Mount(cluster, "/mnt", "", syscall.MS_BIND|syscall.MS_REC, ""))
	}
	must(syscall.Mount("tmpfs", path, "tmpfs", 0, "mode=755"))
	if below {
		must(os.MkdirAll(cluster, 0o755))
		must(syscall.Mount("/mnt", cluster, "", syscall.MS_BIND|syscall.MS_REC, ""))
		must(syscall.Unmount("/mnt", syscall.MNT_DETACH))
	}
}

func answers(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err == nil {
		conn.Close()
	}
	return err == nil
}
