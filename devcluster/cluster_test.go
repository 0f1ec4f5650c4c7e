package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFreePortsAreANeighbouringPairInTheRange(t *testing.T) {
	for range 100 {
		if p := freePorts(func(int) bool { return true }); p < lowestPort || p+1 > highestPort || p%2 != 0 {
			t.Fatalf("%d", p)
		}
	}
	only := 31998
	if p := freePorts(func(p int) bool { return p == only || p == only+1 }); p != only {
		t.Errorf("%d, want the only free pair, %d", p, only)
	}
}

func TestAClusterKeepsItsPorts(t *testing.T) {
	c := &config{Dir: t.TempDir(), ControlPlaneOnly: true}
	c.choosePorts()
	if c.Port == c.EtcdPort {
		t.Errorf("API server and etcd on %d", c.Port)
	}
	api, etcd := c.Port, c.EtcdPort
	c.choosePorts()
	if c.Port != api || c.EtcdPort != etcd {
		t.Errorf("%d and %d became %d and %d", api, etcd, c.Port, c.EtcdPort)
	}
}

func TestAChosenPortThatIsTakenIsReplacedAndOneThatWasAskedForIsNot(t *testing.T) {
	port := 0
	for p := lowestPort; port == 0; p++ { // one that listens for sure
		if l, err := tryListen(p); err == nil {
			defer l.Close()
			port = p
		}
	}
	for _, chosen := range []bool{true, false} {
		c := &config{Dir: t.TempDir(), Port: port, PortChosen: chosen}
		c.choosePorts()
		if (c.Port != port) != chosen {
			t.Errorf("chosen %v: port %d became %d", chosen, port, c.Port)
		}
	}
}

func TestControlGroupsOfTwoClustersDiffer(t *testing.T) {
	a, b := &config{Dir: "/a"}, &config{Dir: "/b"}
	if a.cgroup("n1") == b.cgroup("n1") || !strings.HasSuffix(a.cgroup("n1"), "-n1") {
		t.Errorf("%s %s", a.cgroup("n1"), b.cgroup("n1"))
	}
	if !matches(cgroupPrefix("/a")+"*", "/sys/fs/cgroup/cpu/"+a.cgroup("n2")) || matches(cgroupPrefix("/a")+"*", b.cgroup("n1")) {
		t.Error("the pattern of a cluster's control groups")
	}
}

func TestADirectoryIsTheSameThroughALink(t *testing.T) {
	real := resolved(t.TempDir())
	link := filepath.Join(t.TempDir(), "link")
	must(os.Symlink(real, link))
	for _, below := range []string{"", "not-there-yet"} {
		if got := resolved(filepath.Join(link, below)); got != filepath.Join(real, below) {
			t.Errorf("%s, want %s", got, filepath.Join(real, below))
		}
	}
}

func TestClusterNames(t *testing.T) {
	for name, good := range map[string]bool{"kind": true, "pytest-kind": true, "a.b": true, "": false, "..": false, "../x": false, "A": false,
		"a/b": false, strings.Repeat("a", 64): false} {
		if clusterName.MatchString(name) != good {
			t.Errorf("%q", name)
		}
	}
}

func TestAReusedPidIsNotTakenForTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	if alive(file) {
		t.Error("no file")
	}
	writeFile(file, identity(os.Getpid()))
	if !alive(file) {
		t.Error("this process")
	}
	writeFile(file, identity(os.Getpid())+"0")
	if alive(file) {
		t.Error("another start time")
	}
}
