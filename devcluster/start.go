package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func (c *config) credentials() {
	p := openPKI(filepath.Join(c.Dir, "pki"))
	p.certificate("apiserver", "kube-apiserver", "", "127.0.0.1", controlPlaneIP, serviceIP, "localhost", "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
	server := "https://" + net.JoinHostPort(c.apiHost(), c.apiPort())
	p.certificate("admin", "admin", "system:masters")
	p.kubeconfig(filepath.Join(c.Dir, "kubeconfig"), "admin", fmt.Sprintf("https://127.0.0.1:%d", c.Port))
	p.kubeconfig(filepath.Join(c.Dir, "admin.conf"), "admin", server)
	for _, component := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		p.certificate(component, "system:"+component, "")
		p.kubeconfig(filepath.Join(c.Dir, component+".conf"), component, server)
	}
	if c.ControlPlaneOnly {
		return
	}
	for i := 1; i <= c.Nodes; i++ {
		name := c.nodeName(i)
		must(os.MkdirAll(c.node(name), 0o755))
		p.certificate(name, "system:node:"+name, "system:nodes", name, c.nodeIP(name))
		p.kubeconfig(filepath.Join(c.node(name), "kubelet.conf"), name, server)
	}
	writePauseImage(filepath.Join(c.Dir, "pause.tar"), beside("pause"))
	writeFile(filepath.Join(c.Dir, "Corefile"), strings.NewReplacer("@IP@", controlPlaneIP, "@KUBECONFIG@", filepath.Join(c.Dir, "admin.conf"), "@OUTSIDE@", c.outsideNames()).Replace(corefile))
}

func (c *config) startControlPlane() {
	log := ok(os.OpenFile(filepath.Join(c.Dir, "logs", "control-plane.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
	null := ok(os.Open(os.DevNull))
	attr := &os.ProcAttr{Files: []*os.File{null, log, log}, Env: os.Environ(), Sys: &syscall.SysProcAttr{Setsid: true}}
	if !c.ControlPlaneOnly {
		attr.Files = append(attr.Files, listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port))))
		for _, m := range c.Ports {
			attr.Files = append(attr.Files, listen(m.host()))
		}
		attr.Sys.Unshareflags = syscall.CLONE_NEWNS // with / private, so that its /proc stays its own
		attr.Sys.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS
	}
	p := ok(os.StartProcess("/proc/self/exe", []string{"devcluster", "control-plane-init", c.Dir}, attr))
	must(os.WriteFile(filepath.Join(c.Dir, "control-plane.pid"), []byte(identity(p.Pid)), 0o644))
	p.Release()
}

// listen opens a port of the host; the control plane, which lives in another network namespace, inherits it.
func listen(address string) *os.File {
	l, err := net.Listen("tcp", address)
	if err != nil {
		fail("%s cannot be listened on, so the cluster cannot be reached there: %v", address, err)
	}
	return ok(l.(*net.TCPListener).File())
}

func (c *config) startNode(name string, i int) {
	n := c.node(name)
	for _, d := range []string{"root", "cni.d", "opt", "volumes", "logs"} {
		must(os.MkdirAll(filepath.Join(n, d), 0o755))
	}
	for _, leftover := range []string{"state", "init.pid", "connected", "containerd.sock", "ipam"} {
		must(os.RemoveAll(filepath.Join(n, leftover)))
	}
	writeFile(filepath.Join(n, "containerd.toml"), strings.NewReplacer("@N@", n, "@WRAP@", beside("runc-wrap"), "@PAUSE@", pauseImage).Replace(containerdTOML))
	writeFile(filepath.Join(n, "cni.d", "10-devcluster.conflist"), strings.NewReplacer("@N@", n, "@I@", strconv.Itoa(i)).Replace(cniConflist))
	writeFile(filepath.Join(n, "resolv.conf"), "nameserver "+controlPlaneIP+"\n")
	writeFile(filepath.Join(n, "kubelet.yaml"), strings.NewReplacer("@N@", n, "@PKI@", filepath.Join(c.Dir, "pki"), "@NAME@", name, "@DNS@", controlPlaneIP).Replace(kubeletYAML)+
		strings.Join(c.KubeletConfig, "\n")+"\n")
	log := ok(os.OpenFile(filepath.Join(n, "logs", "node.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
	null := ok(os.Open(os.DevNull))
	p := ok(os.StartProcess("/proc/self/exe", []string{"devcluster", "node-launch", c.Dir, name},
		&os.ProcAttr{Files: []*os.File{null, log, log}, Env: os.Environ(), Sys: &syscall.SysProcAttr{Setsid: true}}))
	p.Release()
	c.await("node "+name+" (see "+log.Name()+")", 10*time.Second, func() bool { return alive(filepath.Join(n, "init.pid")) })
	c.connect(name, i)
	writeFile(filepath.Join(n, "connected"), "")
}

func (c *config) connect(name string, i int) {
	plane, node := strconv.Itoa(pid(filepath.Join(c.Dir, "control-plane.pid"))), strconv.Itoa(pid(filepath.Join(c.node(name), "init.pid")))
	in := func(pid, args string) {
		run("nsenter", append([]string{"-t", pid, "-n", "ip"}, strings.Fields(args)...)...)
	}
	c.await("the control plane's bridge", 10*time.Second, func() bool {
		return exec.Command("nsenter", "-t", plane, "-n", "ip", "addr", "show", "br0", "up").Run() == nil
	})
	exec.Command("nsenter", "-t", plane, "-n", "ip", "link", "del", "v-"+name).Run()
	in(plane, "link add v-"+name+" type veth peer name eth0 netns "+node)
	in(plane, "link set v-"+name+" master br0 up")
	in(plane, fmt.Sprintf("route replace 10.88.%d.0/24 via %s", i, c.nodeIP(name)))
	in(node, "addr add "+c.nodeIP(name)+"/24 dev eth0")
	in(node, "link set eth0 up")
	in(node, "route add default via "+controlPlaneIP)
}
