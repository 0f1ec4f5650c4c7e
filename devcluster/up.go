package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// up reads the command line over what the cluster was made with, so that a second `up` mends the same cluster.
func up(args []string) {
	dir := directory()
	lock(dir)
	c := &config{Dir: dir, Name: "devcluster", Context: "devcluster", Nodes: 1}
	if exists(dir) {
		c = load(dir)
	}
	was := *c
	f := flag.NewFlagSet("up", flag.ExitOnError)
	f.Usage = usage
	fresh := f.Bool("fresh", false, "remove what an earlier cluster left, its etcd data too")
	file := f.String("config", "", "a kind configuration: number of nodes, extraPortMappings")
	parent := f.Bool("die-with-parent", false, "remove the cluster when the process that started this command ends")
	f.IntVar(&c.Nodes, "nodes", c.Nodes, "how many nodes")
	f.IntVar(&c.Port, "port", c.Port, "port of the API server on 127.0.0.1 (default: a free one, kept)")
	f.IntVar(&c.EtcdPort, "etcd-port", c.EtcdPort, "with --control-plane-only, port of etcd; the next one is taken too")
	f.BoolVar(&c.ControlPlaneOnly, "control-plane-only", c.ControlPlaneOnly, "etcd, API server and controller manager as plain processes on loopback")
	f.BoolVar(&c.Egress, "egress", c.Egress, "let pods reach the outside by user-mode networking")
	f.BoolVar(&c.EgressHostLoopback, "egress-host-loopback", c.EgressHostLoopback, "with --egress: let pods reach this machine's loopback at 10.0.2.2")
	f.Var(&c.APIServerArgs, "apiserver-arg", "one more argument, repeatable; so are the next")
	f.Var(&c.ControllerManagerArgs, "controller-manager-arg", "such as --node-monitor-grace-period=10s")
	f.Var(&c.SchedulerArgs, "scheduler-arg", "")
	f.Var(&c.KubeletArgs, "kubelet-arg", "")
	f.Var(&c.KubeletConfig, "kubelet-config", "one more line of the kubelet's configuration, such as 'nodeStatusUpdateFrequency: 2s'")
	f.Parse(args)
	if f.NArg() > 0 {
		fail("up takes no %q, only flags: see `devcluster help`", f.Arg(0))
	}
	if *file != "" {
		c.readKindConfig(*file)
	}
	if c.Port != was.Port {
		c.PortChosen = false
	}
	if *fresh {
		remove(dir)
		lock(dir)
	} else if exists(dir) {
		c.refuseChange(&was)
	}
	if *parent {
		c.parent = os.Getppid()
	}
	c.start()
}

// refuseChange says what a cluster that exists cannot become.
func (c *config) refuseChange(was *config) {
	switch {
	case c.ControlPlaneOnly != was.ControlPlaneOnly:
		fail("the cluster in %s was made %s--control-plane-only: `devcluster down` removes it, DEVCLUSTER_DIR names another place", c.Dir,
			map[bool]string{true: "with ", false: "without "}[was.ControlPlaneOnly])
	case c.Nodes < was.Nodes:
		fail("the cluster in %s has %d nodes, not %d: `devcluster down` removes it", c.Dir, was.Nodes, c.Nodes)
	case (c.Port != was.Port || !reflect.DeepEqual(c.Ports, was.Ports)) && alive(c.planePid()):
		fail("ports of the host can only change while the cluster in %s is down: `devcluster stop` first", c.Dir)
	}
}

// start brings up what does not run and returns when everything works.
func (c *config) start() {
	began := time.Now()
	c.prerequisites()
	c.choosePorts()
	c.save()
	c.credentials()
	c.mendControlPlane()
	if c.parent != 0 { // now and not at the end, so that it also removes what could not be started
		c.watch(c.parent)
	}
	if !c.ControlPlaneOnly {
		for i := 1; i <= c.Nodes; i++ {
			c.mendNode(c.nodeName(i), i)
		}
		c.openWayOut()
	}
	client := c.client(c.kubeconfig())
	c.awaitAPIServer(client)
	fmt.Printf("API server works after %.1f s\n", time.Since(began).Seconds())
	if !c.ControlPlaneOnly {
		c.awaitNodes(client)
		fmt.Printf("%d node(s) Ready after %.1f s\n", c.Nodes, time.Since(began).Seconds())
		c.await("DNS", 30*time.Second, c.nameServerWorks)
		c.checkProvisioner(client)
		fmt.Printf("DNS and volumes work after %.1f s\n", time.Since(began).Seconds())
	}
	c.linkTools()
	fmt.Printf("KUBECONFIG=%s\n", c.kubeconfig())
}

// mendControlPlane starts it, or those of its processes that ended. Without it the nodes have no wire, so they go too.
func (c *config) mendControlPlane() {
	if alive(c.planePid()) {
		must(syscall.Kill(pid(c.planePid()), syscall.SIGHUP))
		return
	}
	stop(c.Dir)
	c.startControlPlane()
}

func (c *config) mendNode(name string, i int) {
	if alive(c.nodePid(name)) {
		if _, err := os.Stat(c.connected(name)); err == nil {
			must(syscall.Kill(pid(c.nodePid(name)), syscall.SIGHUP))
			return
		}
	}
	c.endNode(name)
	c.startNode(name, i)
}

func (c *config) awaitAPIServer(client *kubernetes.Clientset) {
	ctx, grace := context.Background(), time.Now().Add(2*time.Second)
	c.await("API server", 60*time.Second, func() bool {
		if _, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err == nil {
			return true
		}
		if time.Now().After(grace) {
			for _, name := range []string{"etcd", "kube-apiserver"} {
				if processes(c.planeState())[name] == 0 {
					fail("%s ended: %s", name, lastLine(filepath.Join(c.logs(), name+".log")))
				}
			}
		}
		return false
	})
	c.await("service account default", 30*time.Second, func() bool {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	})
}

func (c *config) awaitNodes(client *kubernetes.Clientset) {
	c.importImage(filepath.Join(c.Dir, "pause.tar"))
	for i := 1; i <= c.Nodes; i++ {
		name := c.nodeName(i)
		c.await("node "+name, 60*time.Second, func() bool { return nodeReady(client, name) })
	}
}

// linkTools leaves the programs that a user needs beside the kubeconfig: hard links where that is possible, so that they
// outlive the cache.
func (c *config) linkTools() {
	bin := filepath.Join(c.Dir, "bin")
	must(os.MkdirAll(bin, 0o755))
	self := ok(filepath.EvalSymlinks(ok(os.Executable())))
	for _, tool := range []string{"devcluster", "kubectl", "helm", "kwok", "etcd"} {
		link := filepath.Join(bin, tool)
		os.Remove(link + ".new")
		if os.Link(self, link+".new") != nil {
			must(os.Symlink(self, link+".new"))
		}
		must(os.Rename(link+".new", link))
	}
}

// watch leaves a process behind that removes the cluster when another process ends.
func (c *config) watch(parent int) {
	ok(background("/proc/self/exe", []string{"devcluster", "watch", c.Dir, strconv.Itoa(parent)}, filepath.Join(c.logs(), "watch.log"), nil,
		&syscall.SysProcAttr{}))
}

func watchParent(dir, parent string) {
	p := ok(strconv.Atoi(parent))
	for was := identity(p); was != "" && identity(p) == was; time.Sleep(500 * time.Millisecond) {
	}
	lock(dir)
	remove(dir)
}

func beside(name string) string {
	return filepath.Join(filepath.Dir(ok(filepath.EvalSymlinks(ok(os.Executable())))), name)
}
