package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// Addresses inside a cluster. Every cluster has the same: each lies in network namespaces of its own.
const (
	controlPlaneIP = "172.30.0.1"
	serviceCIDR    = "10.96.0.0/16"
	serviceIP      = "10.96.0.1"
	dnsIP          = "10.96.0.10"
	podCIDR        = "10.88.0.0/16"
	mostNodes      = 50
)

// config is what `up` was asked for; the processes it starts read it from the cluster's directory.
type config struct {
	Dir                   string `json:"-"`
	Name                  string // of the cluster; the kubeconfig's context is named after it
	Context               string
	Port, EtcdPort, Nodes int
	PortChosen            bool // by choosePorts, so that another will do as well
	ControlPlaneOnly      bool
	Egress                bool // pods get a way out by user-mode networking
	EgressHostLoopback    bool // and reach the host's loopback at 10.0.2.2
	Ports                 []portMapping
	APIServerArgs         list
	ControllerManagerArgs list
	SchedulerArgs         list
	KubeletArgs           list
	KubeletConfig         list

	parent int // the process whose end ends the cluster, if any
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
	raw, err := os.ReadFile(configFile(dir))
	if err != nil {
		fail("no cluster in %s: start one with `devcluster up`", dir)
	}
	c := &config{}
	if err := json.Unmarshal(raw, c); err != nil {
		fail("%s is damaged (%v): `devcluster down` removes it", configFile(dir), err)
	}
	c.Dir = dir
	return c
}

func (c *config) save() {
	must(os.MkdirAll(c.logs(), 0o755))
	replaceFile(configFile(c.Dir), ok(json.MarshalIndent(c, "", " ")))
}

// lock keeps two commands from changing one cluster at the same time. It ends with this process.
func lock(dir string) {
	for {
		must(os.MkdirAll(dir, 0o755))
		path := filepath.Join(dir, "lock")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644) // closed on exec, so nothing that stays can hold it
		if os.IsNotExist(err) {
			continue // a `down` removed the directory just now
		}
		must(err)
		must(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
		mine := ok(f.Stat())
		if there, err := os.Stat(path); err == nil && os.SameFile(mine, there) {
			held = f
			return
		}
		f.Close() // it was waited for while a `down` removed it
	}
}

var held *os.File // for the garbage collector, which would close it

func (c *config) logs() string              { return filepath.Join(c.Dir, "logs") }
func (c *config) kubeconfig() string        { return filepath.Join(c.Dir, "kubeconfig") }
func (c *config) node(name string) string   { return filepath.Join(c.Dir, "nodes", name) }
func (c *config) nodeName(i int) string     { return "n" + strconv.Itoa(i) }
func (c *config) planePid() string          { return filepath.Join(c.Dir, "control-plane.pid") }
func (c *config) planeState() string        { return filepath.Join(c.Dir, "control-plane.json") }
func (c *config) nodePid(n string) string   { return filepath.Join(c.node(n), "init.pid") }
func (c *config) nodeState(n string) string { return filepath.Join(c.node(n), "processes.json") }

func (c *config) nodeIP(name string) string {
	i := ok(strconv.Atoi(strings.TrimPrefix(name, "n")))
	return "172.30.0." + strconv.Itoa(10+i)
}

// socket is containerd's, seen from the host through the node's own root. (A path in the cluster's directory may be longer
// than the 107 characters that a socket's may have.)
func (c *config) socket(name string) string {
	return "/proc/" + strconv.Itoa(pid(c.nodePid(name))) + "/root" + containerdSocket
}

// cgroup is the name of a node's control groups: unlike its network it lies in a tree that all clusters share.
func (c *config) cgroup(node string) string { return cgroupPrefix(c.Dir) + node }

func cgroupPrefix(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "devcluster-" + hex.EncodeToString(sum[:4]) + "-"
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

// controllerManagerPort is beside the API server's where several control planes share the loopback.
func (c *config) controllerManagerPort() string {
	if c.ControlPlaneOnly {
		return strconv.Itoa(c.Port + 1)
	}
	return "10257"
}

func (c *config) client(kubeconfig string) *kubernetes.Clientset {
	r := ok(clientcmd.BuildConfigFromFlags("", kubeconfig))
	r.QPS, r.Burst = 100, 200
	return ok(kubernetes.NewForConfig(r))
}
