package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

var clusterName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// kindFlags are those of all of kind's commands together.
type kindFlags struct {
	name, kubeconfig, config string
	words                    []string
}

// kindCommands are the part of kind's command line that tests need, so that pytest-kind drives devcluster as it drives kind.
var kindCommands = map[string]func(kindFlags){
	"get clusters": func(kindFlags) {
		names := clusters()
		for _, name := range names {
			fmt.Println(name)
		}
		if len(names) == 0 {
			fmt.Fprintln(os.Stderr, "No kind clusters found.")
		}
	},
	"get kubeconfig": func(f kindFlags) { fmt.Print(string(ok(os.ReadFile(load(f.dir()).kubeconfig())))) },
	"get nodes": func(f kindFlags) {
		for i, c := 1, load(f.dir()); i <= c.Nodes; i++ {
			fmt.Println(c.nodeName(i))
		}
	},
	"export kubeconfig":  func(f kindFlags) { load(f.dir()).exportKubeconfig(f.kubeconfig) },
	"create cluster":     createCluster,
	"delete cluster":     deleteCluster,
	"load docker-image":  func(f kindFlags) { load(f.dir()).loadImages(f.words) },
	"load image-archive": func(f kindFlags) { load(f.dir()).loadImages(f.words) },
}

// kind carries out one of kind's commands, if it is one: `load` is also a command of our own.
func kind(command string, args []string) bool {
	if command == "version" {
		fmt.Println("devcluster, which speaks a part of kind's command line")
		return true
	}
	if len(args) == 0 {
		return false
	}
	verb := command + " " + args[0]
	run := kindCommands[verb]
	if run == nil {
		return false
	}
	flags := flag.NewFlagSet(verb, flag.ExitOnError)
	f := kindFlags{}
	flags.StringVar(&f.name, "name", "kind", "the cluster's name")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "the kubeconfig that gets or loses the cluster (default: as kubectl)")
	flags.StringVar(&f.config, "config", "", "a kind configuration")
	flags.String("image", "", "ignored: there is one version")
	flags.String("wait", "", "ignored: it always waits")
	for rest := args[1:]; ; rest = flags.Args()[1:] { // flags may stand behind words
		flags.Parse(rest)
		if flags.NArg() == 0 {
			break
		}
		f.words = append(f.words, flags.Arg(0))
	}
	if !clusterName.MatchString(f.name) {
		fail("%q is not a cluster name: use lower-case letters, digits, dots and dashes", f.name)
	}
	run(f)
	return true
}

// home is where the clusters live that kind's commands make; `up` makes its own in the working directory.
func home() string { return resolved(filepath.Join(cache(), "clusters")) }

func (f kindFlags) dir() string { return filepath.Join(home(), f.name) }

// clusters are those that work. One that a crash left is not listed, so that `create cluster` makes it anew.
func clusters() []string {
	names := []string{}
	entries, _ := os.ReadDir(home())
	for _, e := range entries {
		if dir := filepath.Join(home(), e.Name()); exists(dir) && load(dir).works() {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names
}

func createCluster(f kindFlags) {
	must(os.MkdirAll(home(), 0o755))
	lock(f.dir())
	if exists(f.dir()) {
		if load(f.dir()).works() {
			fail("node(s) already exist for a cluster with the name %q", f.name)
		}
		fmt.Printf("removing what is left of a cluster %q that does not run\n", f.name)
		remove(f.dir())
		lock(f.dir())
	}
	c := &config{Dir: f.dir(), Name: f.name, Context: "kind-" + f.name, Nodes: 1}
	if f.config != "" {
		c.readKindConfig(f.config)
	}
	c.start()
	c.exportKubeconfig(f.kubeconfig)
}

// access is the kubeconfig that a command means: the one it names, else kubectl's.
func access(file string) *clientcmd.PathOptions {
	options := clientcmd.NewDefaultPathOptions()
	options.LoadingRules.ExplicitPath = file
	return options
}

// exportKubeconfig adds the cluster to a kubeconfig, which may hold others, and makes it the current one.
func (c *config) exportKubeconfig(file string) {
	edit(file, func(k *clientcmdapi.Config) {
		own, name := ok(clientcmd.LoadFromFile(c.kubeconfig())), c.Context
		k.Clusters[name], k.AuthInfos[name], k.Contexts[name] = own.Clusters[name], own.AuthInfos[name], own.Contexts[name]
		for _, origin := range []*string{&k.Clusters[name].LocationOfOrigin, &k.AuthInfos[name].LocationOfOrigin, &k.Contexts[name].LocationOfOrigin} {
			*origin = "" // ModifyConfig writes an entry to where it came from
		}
		k.CurrentContext = c.Context
	})
}

func deleteCluster(f kindFlags) {
	remove(f.dir())
	os.Remove(home()) // when it was the last
	context := "kind-" + f.name
	edit(f.kubeconfig, func(k *clientcmdapi.Config) {
		delete(k.Clusters, context)
		delete(k.AuthInfos, context)
		delete(k.Contexts, context)
		if k.CurrentContext == context {
			k.CurrentContext = ""
		}
	})
}

// edit changes a kubeconfig, and leaves it alone where there is nothing to change.
func edit(file string, change func(*clientcmdapi.Config)) {
	options := access(file)
	k, err := options.GetStartingConfig()
	if err != nil {
		fail("the kubeconfig cannot be read: %v", err)
	}
	before := k.DeepCopy()
	change(k)
	if reflect.DeepEqual(before, k) {
		return
	}
	must(clientcmd.ModifyConfig(options, *k, false))
}
