package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const containerdSocket = "/run/containerd/containerd.sock" // in the node, whose /run is its own

// credentials writes what is not there yet: certificates, kubeconfigs, the files that hold a path or an address.
func (c *config) credentials() {
	p := openPKI(filepath.Join(c.Dir, "pki"))
	p.certificate("apiserver", "kube-apiserver", "", "127.0.0.1", controlPlaneIP, serviceIP, "localhost", "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
	server := "https://" + net.JoinHostPort(c.apiHost(), c.apiPort())
	p.certificate("admin", "admin", "system:masters")
	p.kubeconfig(c.kubeconfig(), c.Context, "admin", fmt.Sprintf("https://127.0.0.1:%d", c.Port))
	p.kubeconfig(filepath.Join(c.Dir, "admin.conf"), c.Context, "admin", server)
	for _, component := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		p.certificate(component, "system:"+component, "")
		p.kubeconfig(filepath.Join(c.Dir, component+".conf"), c.Context, component, server)
	}
	if c.ControlPlaneOnly {
		return
	}
	for i := 1; i <= c.Nodes; i++ {
		name := c.nodeName(i)
		must(os.MkdirAll(c.node(name), 0o755))
		p.certificate(name, "system:node:"+name, "system:nodes", name, c.nodeIP(name))
		p.kubeconfig(filepath.Join(c.node(name), "kubelet.conf"), c.Context, name, server)
	}
	writePauseImage(filepath.Join(c.Dir, "pause.tar"), beside("pause"))
	c.copyRuncWrap()
}

func (c *config) runcWrap() string { return filepath.Join(c.Dir, "runc-wrap") }

// copyRuncWrap keeps a copy, because the cache may be cleared while the cluster runs.
func (c *config) copyRuncWrap() {
	must(os.WriteFile(c.runcWrap()+".new", ok(os.ReadFile(beside("runc-wrap"))), 0o755))
	must(os.Rename(c.runcWrap()+".new", c.runcWrap()))
}

// fill puts values into a template.
func fill(template string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(template)
}

func (c *config) startControlPlane() {
	os.Remove(c.planeState())
	sys, inherit := &syscall.SysProcAttr{}, []*os.File(nil)
	if !c.ControlPlaneOnly {
		inherit = append(inherit, listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port))))
		for _, m := range c.Ports {
			inherit = append(inherit, listen(m.host()))
		}
		sys.Unshareflags = syscall.CLONE_NEWNS // with / private, so that its /proc stays its own
		sys.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS
		c.writeCorefile()
	}
	p, err := background("/proc/self/exe", []string{"devcluster", "control-plane-init", c.Dir}, filepath.Join(c.logs(), "control-plane.log"), inherit, sys)
	if errors.Is(err, syscall.EPERM) {
		fail("this root may not make namespaces (%v): run it outside of a container, or with CAP_SYS_ADMIN; or %s", err, instead)
	}
	must(err)
	for _, f := range inherit {
		f.Close()
	}
	writeFile(c.planePid(), identity(p))
}

func (c *config) startNode(name string, i int) {
	n := c.node(name)
	for _, d := range []string{"root", "cni.d", "opt", "volumes", "logs"} {
		must(os.MkdirAll(filepath.Join(n, d), 0o755))
	}
	for _, leftover := range []string{"processes.json", "connected", "ipam"} {
		must(os.RemoveAll(filepath.Join(n, leftover)))
	}
	writeFile(filepath.Join(n, "containerd.toml"), fill(containerdTOML, "@N@", n, "@WRAP@", c.runcWrap(), "@PAUSE@", pauseImage,
		"@SNAPSHOTTER@", snapshotter(n), "@SOCKET@", containerdSocket))
	writeFile(filepath.Join(n, "cni.d", "10-devcluster.conflist"), fill(cniConflist, "@N@", n, "@I@", strconv.Itoa(i)))
	writeFile(filepath.Join(n, "resolv.conf"), "nameserver "+controlPlaneIP+"\n")
	writeFile(filepath.Join(n, "kubelet.yaml"), fill(kubeletYAML, "@N@", n, "@PKI@", filepath.Join(c.Dir, "pki"), "@NAME@", name,
		"@DNS@", controlPlaneIP, "@SOCKET@", containerdSocket)+strings.Join(c.KubeletConfig, "\n")+"\n")
	log := filepath.Join(n, "logs", "node.log")
	ok(background("/proc/self/exe", []string{"devcluster", "node-launch", c.Dir, name}, log, nil, &syscall.SysProcAttr{}))
	c.await("node "+name+" (see "+log+")", 10*time.Second, func() bool { return alive(c.nodePid(name)) })
	c.connect(name, i)
	writeFile(c.connected(name), "")
}

func (c *config) connected(name string) string { return filepath.Join(c.node(name), "connected") }

// snapshotter is containerd's way to stack layers: overlayfs, but not on top of another overlayfs, as in a container.
func snapshotter(dir string) string {
	const overlayfs = 0x794c7630 // OVERLAYFS_SUPER_MAGIC, linux/magic.h
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) == nil && s.Type == overlayfs {
		return "native"
	}
	return "overlayfs"
}

// connect gives the node a wire to the control plane, which routes between the nodes. Nothing leads to the host.
func (c *config) connect(name string, i int) {
	plane, node := pid(c.planePid()), pid(c.nodePid(name))
	c.await("the control plane's bridge", 10*time.Second, func() bool { return inNetwork(plane, "ip route get "+c.nodeIP(name)) == nil })
	inNetwork(plane, "ip link del v-"+name) // of an earlier life of this node
	must(inNetwork(plane, fmt.Sprintf("ip link add v-%s type veth peer name eth0 netns %d", name, node)))
	must(inNetwork(plane, "ip link set v-"+name+" master br0 up"))
	must(inNetwork(plane, fmt.Sprintf("ip route replace 10.88.%d.0/24 via %s", i, c.nodeIP(name))))
	must(inNetwork(node, "ip addr add "+c.nodeIP(name)+"/24 dev eth0"))
	must(inNetwork(node, "ip link set eth0 up"))
	must(inNetwork(node, "ip route add default via "+controlPlaneIP))
}
