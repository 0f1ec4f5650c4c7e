package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	controlPlaneIP = "172.30.0.1"
	serviceCIDR    = "10.96.0.0/16"
	serviceIP      = "10.96.0.1"
	dnsIP          = "10.96.0.10"
	podCIDR        = "10.88.0.0/16"
	slirpDNS       = "10.0.2.3" // slirp4netns' own resolver, which asks the host's
)

// config is what `up` was asked for; the processes it starts read it from the cluster's directory.
type config struct {
	Dir                   string `json:"-"`
	Port, EtcdPort, Nodes int
	ControlPlaneOnly      bool
	Egress                bool // pods get a way out by user-mode networking
	EgressHostLoopback    bool // and reach the host's loopback at 10.0.2.2
	Ports                 []portMapping
	APIServerArgs         list
	ControllerManagerArgs list
	SchedulerArgs         list
	KubeletArgs           list
	KubeletConfig         list
}

// A portMapping leads an address of the host to a port of the first node, as kind's extraPortMappings do.
type portMapping struct {
	ListenAddress           string
	HostPort, ContainerPort int
}

func (m portMapping) host() string {
	return net.JoinHostPort(m.ListenAddress, strconv.Itoa(m.HostPort))
}

// list is a repeatable flag.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func configFile(dir string) string { return filepath.Join(dir, "config.json") }

func exists(dir string) bool {
	_, err := os.Stat(configFile(dir))
	return err == nil
}

func load(dir string) *config {
	c := &config{}
	raw, err := os.ReadFile(configFile(dir))
	if err != nil {
		fail("no cluster in %s: start one with `devcluster up`", dir)
	}
	must(json.Unmarshal(raw, c))
	c.Dir = dir
	return c
}

func (c *config) save() {
	must(os.MkdirAll(filepath.Join(c.Dir, "logs"), 0o755))
	must(os.WriteFile(configFile(c.Dir), ok(json.MarshalIndent(c, "", " ")), 0o644))
}

func (c *config) node(name string) string { return filepath.Join(c.Dir, "nodes", name) }
func (c *config) nodeName(i int) string   { return "n" + strconv.Itoa(i) }

func (c *config) nodeIP(name string) string {
	i := ok(strconv.Atoi(strings.TrimPrefix(name, "n")))
	return "172.30.0." + strconv.Itoa(10+i)
}

// cgroup is the name of a node's control groups: unlike its network it lies in a tree that all clusters share.
func (c *config) cgroup(node string) string {
	sum := sha256.Sum256([]byte(c.Dir))
	return "devcluster-" + hex.EncodeToString(sum[:4]) + "-" + node
}

func (c *config) apiHost() string {
	if c.ControlPlaneOnly {
		return "127.0.0.1"
	}
	return controlPlaneIP
}

func (c *config) bindAddress() string {
	if c.ControlPlaneOnly {
		return "127.0.0.1"
	}
	return "0.0.0.0"
}

func (c *config) apiPort() string {
	if c.ControlPlaneOnly {
		return strconv.Itoa(c.Port)
	}
	return "6443"
}

// port moves a component's usual port beside the API server's where several control planes share the loopback.
func (c *config) port(usual int) string {
	if c.ControlPlaneOnly {
		return strconv.Itoa(c.Port + 1)
	}
	return strconv.Itoa(usual)
}

// choosePorts fills in what was not asked for. A cluster keeps its ports for its whole life.
func (c *config) choosePorts() {
	if c.Port == 0 {
		c.Port = freePorts()
	}
	if c.EtcdPort == 0 {
		c.EtcdPort = 2379 // its own network namespace
		if c.ControlPlaneOnly {
			c.EtcdPort = freePorts()
		}
	}
}

// freePorts finds two neighbouring free ports of the loopback, below those that the kernel hands out by itself.
func freePorts() int {
	for range 200 {
		p := 20000 + 2*rand.IntN(6000)
		if isFree(p) && isFree(p+1) {
			return p
		}
	}
	fail("no two free ports between 20000 and 32000 on 127.0.0.1: say which with --port and --etcd-port")
	return 0
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func (c *config) client(kubeconfig string) *kubernetes.Clientset {
	r := ok(clientcmd.BuildConfigFromFlags("", kubeconfig))
	r.QPS, r.Burst = 100, 200
	return ok(kubernetes.NewForConfig(r))
}
