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

  devcluster up [--config KIND.yaml] [--nodes N] [--egress] [--control-plane-only] [--die-with-parent] [--fresh] ...
                                      start what does not run yet, wait until it works; mends after a crash
  devcluster status                   what runs; the exit code is 1 when something is missing
  devcluster load IMAGE|FILE.tar ...  put images into every node
  devcluster build-image -f DOCKERFILE -t IMAGE [--build-arg K=V] CONTEXT
                                      build an image, with Docker or without
  devcluster stop                     end every process, keep the data
  devcluster down                     end every process, remove everything
  devcluster kill NODE [PROCESS]      SIGKILL a whole node, or its kubelet, containerd, kube-proxy; also of control-plane
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

// commands are those of a user; `load` and those of kind are looked at before.
var commands map[string]func(args []string)

// internal are the commands by which devcluster starts itself. Their first argument is the cluster's directory.
var internal map[string]func(args []string)

func init() { // here, because the commands mention the tables
	commands = map[string]func(args []string){
		"help": func([]string) { fmt.Print(help) },
		"up":   up,
		"stop": func([]string) {
			c := load(directory())
			lock(c.Dir)
			stop(c.Dir)
		},
		"down": func([]string) {
			if dir := directory(); exists(dir) || len(ownProcesses(dir)) > 0 {
				lock(dir)
				remove(dir)
			} else {
				fmt.Printf("no cluster in %s\n", dir)
			}
		},
		"status": func([]string) { load(directory()).status() },
		"load":   func(args []string) { load(directory()).loadImages(args) },
	}
	for _, name := range []string{"kill", "cut", "heal", "in"} {
		commands[name] = func(args []string) {
			if len(args) == 0 {
				fail("%s: which node? `devcluster status` names them", name)
			}
			load(directory()).operate(name, args[0], args[1:])
		}
	}
	internal = map[string]func(args []string){
		"control-plane-init": func(args []string) { controlPlane(load(args[0])) },
		"node-launch":        func(args []string) { launchNode(load(args[0]), args[1]) },
		"node-init":          func(args []string) { nodeInit(load(args[0]), args[1]) },
		"watch":              func(args []string) { watchParent(args[0], args[1]) },
		"resolve":            func(args []string) { resolve(args[1]) },
	}
}

// drive carries out one command of the driver itself.
func drive(command string, args []string) {
	closeOnExec()
	if command == "--help" || command == "-h" {
		command = "help"
	}
	if run := internal[command]; run != nil && len(args) > 0 {
		run(args)
		return
	}
	extendPath()
	if kind(command, args) {
		return
	}
	run := commands[command]
	if run == nil {
		fmt.Fprintf(os.Stderr, "devcluster: there is no command %q\n\n", command)
		usage()
	}
	run(args)
}

// extendPath adds where Debian keeps programs for root, which a user's PATH may lack.
func extendPath() { os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin") }

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
	return resolved(dir)
}

// resolved is an absolute path without links, because the mount namespaces of nodes need it so.
func resolved(dir string) string {
	dir = ok(filepath.Abs(dir))
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		return filepath.Join(parent, filepath.Base(dir))
	}
	return dir
}

// cache is where everything is kept that is built once for all clusters; the launcher sets it.
func cache() string {
	if dir := os.Getenv("DEVCLUSTER_CACHE"); dir != "" {
		return dir
	}
	return filepath.Join(ok(os.UserCacheDir()), "wasession", "devcluster")
}
