package main

import (
	"reflect"
	"strings"
	"testing"
)

const head = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"

func TestAKindConfigurationSaysHowManyNodesAndWhichPorts(t *testing.T) {
	mapping := portMapping{"127.0.0.1", 3000, 30300}
	for name, c := range map[string]struct {
		text  string
		nodes int
		ports []portMapping
	}{
		"nothing":                       {head, 1, nil},
		"the control plane alone":       {head + "nodes: [{role: control-plane}]", 1, nil},
		"workers count, it does not":    {head + "nodes: [{role: control-plane}, {role: worker}, {role: worker}]", 2, nil},
		"a role left out":               {head + "nodes: [{extraPortMappings: [{containerPort: 30300, hostPort: 3000}]}]", 1, []portMapping{mapping}},
		"a mapping with all its fields": {head + "nodes: [{role: worker, extraPortMappings: [{containerPort: 30300, hostPort: 3000, listenAddress: 127.0.0.1, protocol: TCP}]}]", 1, []portMapping{mapping}},
		"an address of its own":         {head + "nodes: [{extraPortMappings: [{containerPort: 30300, hostPort: 3000, listenAddress: 0.0.0.0}]}]", 1, []portMapping{{"0.0.0.0", 3000, 30300}}},
	} {
		parsed, err := parseKindConfig([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if parsed.workers() != c.nodes || !reflect.DeepEqual(parsed.ports(), c.ports) {
			t.Errorf("%s: %d nodes, ports %v; want %d, %v", name, parsed.workers(), parsed.ports(), c.nodes, c.ports)
		}
	}
}

func TestAnErrorNamesWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "kind is \"\"",
		"kind: Pod\napiVersion: v1":         "kind is \"Pod\"",
		head + "networking: {}":             "networking",
		head + "nodes: [{role: etcd}]":      "nodes[0].role: \"etcd\"",
		head + "nodes: [{extraMounts: []}]": "extraMounts",
		head + "nodes: [{}, {}]":            "2 control planes",
		head + "nodes: [" + strings.Repeat("{role: worker}, ", 51) + "]":                                          "51 are too many",
		head + "nodes: [{extraPortMappings: [{containerPort: 30300}]}]":                                           "0 -> 30300",
		head + "nodes: [{extraPortMappings: [{containerPort: 70000, hostPort: 1}]}]":                              "1 -> 70000",
		head + "nodes: [{extraPortMappings: [{containerPort: 53, hostPort: 53, protocol: UDP}]}]":                 "\"UDP\" is not supported",
		head + "nodes: [{extraPortMappings: [{containerPort: 1, hostPort: 9}, {containerPort: 2, hostPort: 9}]}]": "127.0.0.1:9 is there twice",
	} {
		if _, err := parseKindConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want an error with %q", text, err, want)
		}
	}
}
