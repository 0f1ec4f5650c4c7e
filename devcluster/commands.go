package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

const help = `devcluster: a real Kubernetes for a machine that has none

  devcluster up [--config KIND.yaml] [--nodes N] [--egress] [--control-plane-only] [--fresh] ...
                                      start what does not run yet, wait until it works
  devcluster status                   what runs
  devcluster load IMAGE|FILE.tar ...  put images into every node
  devcluster build-image -f DOCKERFILE -t IMAGE [--build-arg K=V] CONTEXT
                                      build an image, with Docker or without
  devcluster stop                     end every process, keep the data
  devcluster down                     end every process, remove everything
  devcluster kill NODE [PROCESS]      SIGKILL a whole node, or its kubelet, containerd, kube-proxy
  devcluster cut NODE | heal NODE     take a node off the network and back
  devcluster in NODE|control-plane COMMAND...
                                      run a command inside
  devcluster kubectl|helm|kwok|etcd|kube-apiserver|... ARGS
                                      the components themselves

As kind would: get clusters, get kubeconfig, create cluster, delete cluster, load docker-image, load image-archive.

The cluster lives in $DEVCLUSTER_DIR (.devcluster). Use it with KUBECONFIG=.devcluster/kubeconfig.
`

func usage() {
	fmt.Fprint(os.Stderr, help)
	os.Exit(2)
}

// drive carries out one command of the driver itself. Those whose names end in -init or -launch are its own children.
func drive(command string, args []string) {
	if isKind(command, args) {
		kind(command, args)
		return
	}
	switch command {
	case "help", "--help", "-h":
		fmt.Print(help)
	case "up":
		up(args)
	case "status":
		status(load(directory()))
	case "load":
		c := load(directory())
		for _, image := range args {
			c.importImage(archiveOf(image))
		}
	case "stop", "down":
		c := load(directory())
		c.stop()
		if command == "down" {
			must(os.RemoveAll(c.Dir))
		}
	case "kill", "cut", "heal", "in":
		if len(args) < 1 {
			usage()
		}
		load(directory()).operate(command, args[0], args[1:])
	case "control-plane-init":
		controlPlane(load(args[0]))
	case "node-launch":
		launchNode(load(args[0]), args[1])
	case "node-init":
		nodeInit(load(args[0]), args[1])
	case "resolve":
		resolve(args[0])
	case "provisioner":
		runProvisioner(args[0], args[1])
	default:
		fmt.Fprintf(os.Stderr, "devcluster: there is no command %q\n\n", command)
		usage()
	}
}

// resolve asks the cluster's name server, from inside the control plane's network namespace.
func resolve(name string) {
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(controlPlaneIP, "53"))
	}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	fmt.Println(ok(r.LookupHost(ctx, name)))
}

// directory is where the cluster of this working directory lives.
func directory() string {
	dir := os.Getenv("DEVCLUSTER_DIR")
	if dir == "" {
		dir = ".devcluster"
	}
	return ok(filepath.Abs(dir))
}

// cache is where everything is kept that is built once for all clusters; the launcher sets it.
func cache() string {
	if dir := os.Getenv("DEVCLUSTER_CACHE"); dir != "" {
		return dir
	}
	return filepath.Join(ok(os.UserCacheDir()), "wasession", "devcluster")
}
