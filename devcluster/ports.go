package main

import (
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// The ports that are chosen where none is asked for lie above those of pytest-kind's port-forward (5000 to 29999) and below
// those that Linux hands out by itself (from 32768).
const lowestPort, highestPort = 30000, 32767

// choosePorts fills in what was not asked for. A cluster keeps its ports for its whole life, unless one is taken by somebody
// else while the cluster is down.
func (c *config) choosePorts() {
	if c.Port == 0 || (c.PortChosen && !alive(c.planePid()) && !isFree(c.Port)) {
		c.Port, c.PortChosen = freePorts(isFree), true
	}
	switch {
	case c.EtcdPort == 0 && !c.ControlPlaneOnly:
		c.EtcdPort = 2379 // in a network namespace of its own
	case c.EtcdPort == 0:
		for c.EtcdPort = c.Port; c.EtcdPort == c.Port; {
			c.EtcdPort = freePorts(isFree)
		}
	}
}

// freePorts finds a free port of the loopback, even, with a free one after it.
func freePorts(isFree func(int) bool) int {
	pairs := (highestPort - lowestPort + 1) / 2
	first := rand.IntN(pairs)
	for i := range pairs {
		if p := lowestPort + (first+i)%pairs*2; isFree(p) && isFree(p+1) {
			return p
		}
	}
	fail("no two neighbouring free ports between %d and %d on 127.0.0.1: say which with --port and --etcd-port", lowestPort, highestPort)
	return 0
}

func isFree(port int) bool {
	l, err := tryListen(port)
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func tryListen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// listen opens a port of the host; the control plane, which lives in another network namespace, inherits it.
func listen(address string) *os.File {
	l, err := net.Listen("tcp", address)
	if err != nil {
		fail("%s cannot be listened on (%v): end what uses it, or choose another port", address, err)
	}
	defer l.Close()
	return ok(l.(*net.TCPListener).File())
}
