package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"
)

var clusterName = regexp.MustCompile(`^[a-z0-9.-]+$`)

// isKind tells kind's commands from ours: `load` is both, and means kind's when the next word is one of kind's.
func isKind(command string, args []string) bool {
	if len(args) == 0 {
		return false
	}
	switch command + " " + args[0] {
	case "get clusters", "get kubeconfig", "create cluster", "delete cluster", "load docker-image", "load image-archive":
		return true
	}
	return false
}

// kind carries out the part of kind's command line that tests need, so that pytest-kind drives devcluster as it drives kind.
func kind(command string, args []string) {
	verb := command + " " + args[0]
	f := flag.NewFlagSet(verb, flag.ExitOnError)
	name := f.String("name", "kind", "the cluster's name")
	kubeconfig := f.String("kubeconfig", "", "where the kubeconfig is written to")
	file := f.String("config", "", "a kind configuration")
	f.String("image", "", "ignored: there is one version")
	f.String("wait", "", "ignored: it always waits")
	images := []string{}
	for rest := args[1:]; ; rest = f.Args()[1:] { // flags may stand behind words
		f.Parse(rest)
		if f.NArg() == 0 {
			break
		}
		images = append(images, f.Arg(0))
	}
	if verb == "get clusters" {
		listClusters()
		return
	}
	if !clusterName.MatchString(*name) {
		fail("%q is not a cluster name: use lower-case letters, digits, dots and dashes", *name)
	}
	dir := filepath.Join(clusters(), *name)
	switch verb {
	case "create cluster":
		createCluster(dir, *name, *kubeconfig, *file)
	case "get kubeconfig":
		fmt.Print(string(ok(os.ReadFile(filepath.Join(load(dir).Dir, "kubeconfig")))))
	case "delete cluster":
		if exists(dir) {
			load(dir).stop()
		}
		must(os.RemoveAll(dir))
		if *kubeconfig != "" {
			os.Remove(*kubeconfig)
		}
	case "load docker-image", "load image-archive":
		c := load(dir)
		for _, image := range images {
			c.importImage(archiveOf(image))
		}
	}
}

// clusters is where the clusters live that kind's commands make; `up` makes its own in the working directory.
func clusters() string { return filepath.Join(cache(), "clusters") }

func listClusters() {
	names := []string{}
	entries, _ := os.ReadDir(clusters())
	for _, e := range entries {
		if dir := filepath.Join(clusters(), e.Name()); exists(dir) && load(dir).controlPlaneRuns() {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	if len(names) == 0 {
		fmt.Fprintln(os.Stderr, "No kind clusters found.")
	}
	for _, name := range names {
		fmt.Println(name)
	}
}

func createCluster(dir, name, kubeconfig, file string) {
	c := &config{Dir: dir, Nodes: 1}
	if exists(dir) { // what a crash left is mended
		c = load(dir)
		if c.controlPlaneRuns() {
			fail("node(s) already exist for a cluster with the name %q", name)
		}
	}
	if file != "" {
		c.readKindConfig(file)
	}
	c.start()
	if kubeconfig == "" {
		fmt.Printf("export KUBECONFIG=%s\n", filepath.Join(dir, "kubeconfig"))
		return
	}
	must(os.MkdirAll(filepath.Dir(ok(filepath.Abs(kubeconfig))), 0o755))
	must(os.WriteFile(kubeconfig, ok(os.ReadFile(filepath.Join(dir, "kubeconfig"))), 0o600))
}

// kindConfig is the part of kind's configuration that is understood.
type kindConfig struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Name       string `json:"name"`
	Nodes      []struct {
		Role              string `json:"role"`
		ExtraPortMappings []struct {
			ContainerPort int    `json:"containerPort"`
			HostPort      int    `json:"hostPort"`
			ListenAddress string `json:"listenAddress"`
			Protocol      string `json:"protocol"`
		} `json:"extraPortMappings"`
	} `json:"nodes"`
}

// readKindConfig takes the number of nodes and their port mappings; a field that means nothing here is an error that names it.
func (c *config) readKindConfig(file string) {
	raw, err := os.ReadFile(file)
	if file == "-" {
		raw, err = io.ReadAll(os.Stdin)
	}
	if err != nil {
		fail("the configuration cannot be read: %v", err)
	}
	parsed, err := parseKindConfig(raw)
	if err != nil {
		fail("%s: %v", file, err)
	}
	c.Nodes, c.Ports = max(len(parsed.Nodes), 1), nil
	for _, n := range parsed.Nodes {
		for _, m := range n.ExtraPortMappings {
			listen := m.ListenAddress
			if listen == "" {
				listen = "127.0.0.1"
			}
			c.Ports = append(c.Ports, portMapping{listen, m.HostPort, m.ContainerPort})
		}
	}
}

func parseKindConfig(raw []byte) (*kindConfig, error) {
	parsed := &kindConfig{}
	if err := yaml.UnmarshalStrict(bytes.TrimSpace(raw), parsed); err != nil {
		return nil, err
	}
	if parsed.Kind != "Cluster" || !strings.HasPrefix(parsed.APIVersion, "kind.x-k8s.io/") {
		return nil, fmt.Errorf("not a kind configuration: kind is %q, apiVersion %q", parsed.Kind, parsed.APIVersion)
	}
	for i, n := range parsed.Nodes {
		for _, m := range n.ExtraPortMappings {
			if m.ContainerPort < 1 || m.ContainerPort > 65535 || m.HostPort < 1 || m.HostPort > 65535 {
				return nil, fmt.Errorf("nodes[%d].extraPortMappings: %d -> %d is not a pair of ports", i, m.HostPort, m.ContainerPort)
			}
			if m.Protocol != "" && m.Protocol != "TCP" {
				return nil, fmt.Errorf("nodes[%d].extraPortMappings: protocol %q is not supported, TCP is", i, m.Protocol)
			}
		}
	}
	return parsed, nil
}
