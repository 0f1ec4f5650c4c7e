package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// kindConfig is the part of kind's configuration that is understood (kind.x-k8s.io/v1alpha4).
type kindConfig struct {
	Kind       string     `json:"kind"`
	APIVersion string     `json:"apiVersion"`
	Name       string     `json:"name"`
	Nodes      []kindNode `json:"nodes"`
}

type kindNode struct {
	Role              string            `json:"role"`
	Image             string            `json:"image"` // ignored: there is one version
	ExtraPortMappings []kindPortMapping `json:"extraPortMappings"`
}

type kindPortMapping struct {
	ContainerPort int    `json:"containerPort"`
	HostPort      int    `json:"hostPort"`
	ListenAddress string `json:"listenAddress"`
	Protocol      string `json:"protocol"`
}

// readKindConfig takes the number of nodes and their port mappings; a field that means nothing here is an error that names it.
func (c *config) readKindConfig(file string) *kindConfig {
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
	c.Nodes, c.Ports = parsed.workers(), parsed.ports()
	return parsed
}

func parseKindConfig(raw []byte) (*kindConfig, error) {
	parsed := &kindConfig{}
	if err := yaml.UnmarshalStrict(bytes.TrimSpace(raw), parsed); err != nil {
		return nil, err
	}
	if parsed.Kind != "Cluster" || !strings.HasPrefix(parsed.APIVersion, "kind.x-k8s.io/") {
		return nil, fmt.Errorf("not a kind configuration: kind is %q, apiVersion %q", parsed.Kind, parsed.APIVersion)
	}
	planes := 0
	taken := map[string]bool{}
	for i, n := range parsed.Nodes {
		switch n.Role {
		case "", "control-plane":
			planes++
		case "worker":
		default:
			return nil, fmt.Errorf("nodes[%d].role: %q is neither control-plane nor worker", i, n.Role)
		}
		for _, m := range n.ExtraPortMappings {
			if err := m.check(taken); err != nil {
				return nil, fmt.Errorf("nodes[%d].extraPortMappings: %w", i, err)
			}
		}
	}
	if planes > 1 {
		return nil, fmt.Errorf("nodes: %d control planes, and there can be one", planes)
	}
	if n := parsed.workers(); n > mostNodes {
		return nil, fmt.Errorf("nodes: %d are too many, %d is the most", n, mostNodes)
	}
	return parsed, nil
}

func (m kindPortMapping) check(taken map[string]bool) error {
	if m.ContainerPort < 1 || m.ContainerPort > 65535 || m.HostPort < 1 || m.HostPort > 65535 {
		return fmt.Errorf("%d -> %d is not a pair of ports from 1 to 65535", m.HostPort, m.ContainerPort)
	}
	if m.Protocol != "" && m.Protocol != "TCP" {
		return fmt.Errorf("protocol %q is not supported, TCP is", m.Protocol)
	}
	at := m.on().host()
	if taken[at] {
		return fmt.Errorf("%s is there twice", at)
	}
	taken[at] = true
	return nil
}

// on is the mapping itself. kind listens on every address where none is said, devcluster on the loopback only.
func (m kindPortMapping) on() portMapping {
	if m.ListenAddress == "" {
		m.ListenAddress = "127.0.0.1"
	}
	return portMapping{m.ListenAddress, m.HostPort, m.ContainerPort}
}

// workers is the number of nodes that run pods: as with kind, the control plane only counts where it is alone.
// Here it is never a node, so a node stands for it.
func (k *kindConfig) workers() int {
	n := 0
	for _, node := range k.Nodes {
		if node.Role == "worker" {
			n++
		}
	}
	return max(n, 1)
}

// ports of any node lead to the first one, because a NodePort answers on every node.
func (k *kindConfig) ports() []portMapping {
	var ports []portMapping
	for _, n := range k.Nodes {
		for _, m := range n.ExtraPortMappings {
			ports = append(ports, m.on())
		}
	}
	return ports
}
