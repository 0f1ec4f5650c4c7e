package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// up reads the command line over what the cluster was made with, so that a second `up` mends the same cluster.
func up(args []string) {
	dir := directory()
	c := &config{Dir: dir, Nodes: 1}
	if exists(dir) {
		c = load(dir)
	}
	f := flag.NewFlagSet("up", flag.ExitOnError)
	fresh := f.Bool("fresh", false, "remove what an earlier cluster left, its etcd data too")
	file := f.String("config", "", "a kind configuration: number of nodes, extraPortMappings")
	f.IntVar(&c.Nodes, "nodes", c.Nodes, "how many nodes")
	f.IntVar(&c.Port, "port", c.Port, "port of the API server on 127.0.0.1 (default: a free one, kept)")
	f.IntVar(&c.EtcdPort, "etcd-port", c.EtcdPort, "port of etcd; the next one is taken too")
	f.BoolVar(&c.ControlPlaneOnly, "control-plane-only", c.ControlPlaneOnly, "etcd, API server and controller manager as plain processes on loopback")
	f.BoolVar(&c.Egress, "egress", c.Egress, "let pods reach the outside by user-mode networking")
	f.BoolVar(&c.EgressHostLoopback, "egress-host-loopback", c.EgressHostLoopback, "with --egress: let pods reach this machine's loopback at 10.0.2.2")
	f.Var(&c.APIServerArgs, "apiserver-arg", "one more argument, repeatable; so are the next")
	f.Var(&c.ControllerManagerArgs, "controller-manager-arg", "such as --node-monitor-grace-period=10s")
	f.Var(&c.SchedulerArgs, "scheduler-arg", "")
	f.Var(&c.KubeletArgs, "kubelet-arg", "")
	f.Var(&c.KubeletConfig, "kubelet-config", "one more line of the kubelet's configuration, such as 'nodeStatusUpdateFrequency: 2s'")
	f.Parse(args)
	if *file != "" {
		c.readKindConfig(*file)
	}
	if *fresh && exists(dir) {
		load(dir).stop()
		must(os.RemoveAll(dir))
	}
	c.start()
}

// start brings up what does not run and returns when everything works.
func (c *config) start() {
	began := time.Now()
	c.prerequisites()
	c.choosePorts()
	c.save()
	c.credentials()
	if !c.controlPlaneRuns() {
		c.stop()
		c.startControlPlane()
	}
	if !c.ControlPlaneOnly {
		for i := 1; i <= c.Nodes; i++ {
			if name := c.nodeName(i); !c.nodeRuns(name) {
				c.endNode(name)
				c.startNode(name, i)
			}
		}
		c.openWayOut()
	}
	client := c.client(filepath.Join(c.Dir, "kubeconfig"))
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
	fmt.Printf("KUBECONFIG=%s\n", filepath.Join(c.Dir, "kubeconfig"))
}

func (c *config) awaitAPIServer(client *kubernetes.Clientset) {
	c.await("API server", 60*time.Second, func() bool {
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(context.Background())
		return err == nil
	})
	c.await("service account default", 30*time.Second, func() bool {
		_, err := client.CoreV1().ServiceAccounts("default").Get(context.Background(), "default", metav1.GetOptions{})
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

// linkTools leaves the programs that a user needs beside the kubeconfig.
func (c *config) linkTools() {
	bin := filepath.Join(c.Dir, "bin")
	must(os.MkdirAll(bin, 0o755))
	self := ok(filepath.EvalSymlinks(ok(os.Executable())))
	for _, tool := range []string{"kubectl", "helm", "kwok"} {
		link := filepath.Join(bin, tool)
		os.Remove(link)
		must(os.Symlink(self, link))
	}
}

func beside(name string) string {
	return filepath.Join(filepath.Dir(ok(filepath.EvalSymlinks(ok(os.Executable())))), name)
}
