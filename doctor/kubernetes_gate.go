package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"devicegate/config"
	"devicegate/doctor/syntax"
)

// workload is an object that runs pods.
type workload struct{ *object }

func (m *manifests) workloads() (all []workload) {
	for _, o := range append(m.of("apps", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), m.of("", "Pod")...) {
		all = append(all, workload{o})
	}
	return all
}

// pod is the description of its pods.
func (w workload) pod() *syntax.Node {
	if w.kind == "Pod" {
		return w.Node
	}
	return w.spec("template")
}

func (w workload) containers() []*syntax.Node {
	return append(w.pod().Get("spec", "containers").List(), w.pod().Get("spec", "initContainers").List()...)
}

// gate returns the container of the gate, nil where none is.
func (w workload) gate() *syntax.Node {
	for _, c := range w.containers() {
		if isGate(c) {
			return c
		}
	}
	return nil
}

// isGate says whether a container is of the gate's image, in whatever registry.
func isGate(c *syntax.Node) bool {
	image, _, _ := strings.Cut(c.Get("image").String(), "@")
	image = image[strings.LastIndexByte(image, '/')+1:]
	name, _, _ := strings.Cut(image, ":")
	return strings.Contains(name, "devicegate")
}

// mounts says whether the pods have the files of a ConfigMap.
func (w workload) mounts(o *object) bool {
	return w.namespace == o.namespace && slices.ContainsFunc(w.pod().Get("spec", "volumes").List(), func(v *syntax.Node) bool {
		if v.Get("configMap", "name").String() == o.name {
			return true
		}
		return slices.ContainsFunc(v.Get("projected", "sources").List(), func(s *syntax.Node) bool { return s.Get("configMap", "name").String() == o.name })
	})
}

func (m *manifests) hasGate() bool {
	return slices.ContainsFunc(m.workloads(), func(w workload) bool { return w.gate() != nil })
}

// within returns the text of a member that is a file, such as one of a ConfigMap, behind as many empty lines as let
// its lines be those of the manifest.
func within(lines []string, n *syntax.Node) []byte {
	before := max(n.Line-1, 0)
	first, _, _ := strings.Cut(n.Text, "\n")
	if n.Line < len(lines) && strings.TrimSpace(lines[n.Line]) == strings.TrimSpace(first) {
		before = n.Line // it begins below its key
	}
	return []byte(strings.Repeat("\n", before) + n.Text)
}

// configMaps reads the configurations that ConfigMaps hold: of the gate, of Istio's mesh, of Traefik and Envoy.
func (r *reader) configMaps() {
	split := map[*source][]string{}
	for _, o := range r.kubernetes.of("", "ConfigMap") {
		if split[o.source] == nil {
			split[o.source] = strings.Split(string(o.source.text), "\n")
		}
		lines := split[o.source]
		for _, e := range o.Get("data").Each() {
			extension := strings.ToLower(filepath.Ext(e.Key))
			if e.Value.String() == "" || !slices.Contains([]string{".yaml", ".yml", ".json", ".toml"}, extension) && e.Key != "mesh" {
				continue
			}
			kind, nodes, err := seen(o.source.name+extension, within(lines, e.Value))
			if e.Key == "mesh" {
				nodes, err = syntax.YAML(o.source.name, within(lines, e.Value))
			}
			placed(nodes, o.source.name)
			switch {
			case err != nil && (e.Key == "mesh" || strings.HasPrefix(e.Key, "devicegate")):
				if e := (*syntax.Error)(nil); errors.As(err, &e) {
					e.File = o.source.name
				}
				r.broken(err, o.source.name, o.source.folder)
			case err != nil:
			case e.Key == "mesh":
				for _, n := range nodes {
					r.kubernetes.add(&object{Node: n, group: groupIstio, kind: kindMesh, namespace: o.namespace, name: o.name, source: o.source})
				}
			case kind == kindGate:
				r.podGate(o, e, within(lines, e.Value), nodes[0])
			case kind == kindTraefik || kind == kindEnvoy:
				r.sources = append(r.sources, &source{name: e.Key, kind: kind, nodes: nodes, unused: true})
			}
		}
	}
}

// placed writes the name of the manifest into the places of nodes.
func placed(nodes []*syntax.Node, file string) {
	done := map[*syntax.Node]bool{}
	var walk func(n *syntax.Node)
	walk = func(n *syntax.Node) {
		if n == nil || done[n] {
			return
		}
		done[n], n.File = true, file
		for i := range n.Entries {
			n.Entries[i].File = file
			walk(n.Entries[i].Value)
		}
		for _, item := range n.Items {
			walk(item)
		}
	}
	for _, n := range nodes {
		walk(n)
	}
}

// podGate reads a configuration of the gate that a ConfigMap holds, with the environment of the container that has it.
func (r *reader) podGate(o *object, e syntax.Entry, text []byte, root *syntax.Node) {
	file, err := temporary(text)
	if err != nil {
		r.find("cannot-read", e.Place, fmt.Sprintf("the gate's configuration in it is not judged: %v", err), "a folder for temporary files")
		return
	}
	defer os.Remove(file) //nolint:errcheck // it holds what was read from a file that is still there
	from := config.Source{File: file, FileRequired: true}
	var holder *workload
	for _, w := range r.kubernetes.workloads() {
		if c := w.gate(); c != nil && w.mounts(o) {
			holder = &w
			for _, v := range c.Get("env").List() {
				if v.Get("value") != nil {
					from.Environ = append(from.Environ, v.Get("name").String()+"="+v.Get("value").String())
				}
			}
		}
	}
	g := loadGate(from, root)
	g.file, g.pod = o.source.name, true
	for i, f := range g.faults {
		if f.File == file {
			g.faults[i].File = o.source.name
		}
	}
	r.gates = append(r.gates, g)
	if holder != nil && g.config != nil {
		r.kubernetes.running = append(r.kubernetes.running, runningGate{*holder, g})
	}
}

// temporary writes a text into a file that only its owner reads.
func temporary(text []byte) (name string, err error) {
	f, err := os.CreateTemp("", "devicegate-doctor-*.yaml")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return f.Name(), err
}

// runningGate is a gate in pods, with its configuration.
type runningGate struct {
	workload
	gate *gateSite
}

var kubernetesGateRules = []rule[*manifests]{
	{"kubernetes-gate-replicas", "more than one pod of the gate, or two for a moment: each has devices of its own", gateReplicas},
	{"kubernetes-gate-exposed", "a gate whose listeners are in the clear and open to every pod, or to the world", gateExposed},
}

// gateReplicas: a gate keeps its devices in a file of its own. What was removed at one goes on passing at another.
func gateReplicas(m *manifests, say say) {
	const problem, fix = "more than one gate would run: a device that is removed at one goes on passing at another", "replicas: 1"
	for _, w := range m.workloads() {
		if w.gate() == nil {
			continue
		}
		if n := w.spec("replicas"); many(n) {
			say(n.At(), problem, fix)
		}
		if w.kind == "DaemonSet" {
			say(w.place(), "every node would run a gate: a device that is removed at one goes on passing at another", "a StatefulSet with replicas: 1")
		}
		if w.kind == "Deployment" && w.spec("strategy", "type").String() != "Recreate" {
			say(at(w.spec("strategy"), w.Node), "while it is replaced two gates would run, and the second has other devices or cannot open the store", "strategy: {type: Recreate}")
		}
		for _, h := range m.of("autoscaling", "HorizontalPodAutoscaler") {
			if t := h.spec("scaleTargetRef"); h.namespace == w.namespace && t.Get("name").String() == w.name && t.Get("kind").String() == w.kind && many(h.spec("maxReplicas")) {
				say(h.spec("maxReplicas").At(), problem, "no HorizontalPodAutoscaler for the gate")
			}
		}
	}
}

// many says whether a number is written that is not one or none.
func many(n *syntax.Node) bool {
	if n.String() == "" {
		return false
	}
	number, err := strconv.Atoi(n.String())
	return err != nil || number > 1
}

// gateExposed: in a pod a gate has to listen beyond loopback, and tokens and passwords reach it in the clear; who may is said
// by a NetworkPolicy (docs/security.md). allowed_peers stands behind it and does not guard the API.
func gateExposed(m *manifests, say say) {
	for _, g := range m.running {
		c := g.gate.config
		open := !c.Checks.HTTP.Address.Local() && c.Checks.HTTP.TLS.CertFile == "" || !c.Checks.GRPC.Address.Local() && c.Checks.GRPC.TLS.CertFile == "" ||
			!c.API.Address.Local() && c.API.TLS.CertFile == ""
		if !open {
			continue
		}
		if !m.fenced(g.workload) {
			say(g.place(), "every pod of the cluster reaches the gate, in the clear: no NetworkPolicy says who may", "a NetworkPolicy with a podSelector of its labels and the proxy under ingress")
		}
		for _, s := range m.of("", "Service") {
			kind := s.spec("type")
			if s.namespace == g.namespace && len(s.spec("selector").Each()) > 0 && selects(s.spec("selector"), g.pod().Get("metadata", "labels")) && (kind.String() == "NodePort" || kind.String() == "LoadBalancer") {
				say(kind.At(), "the gate is reached from outside the cluster, past the proxy", "type: ClusterIP")
			}
		}
	}
}

// fenced says whether a NetworkPolicy says who may reach the pods of a workload, and does not say everybody.
func (m *manifests) fenced(w workload) bool {
	found := false
	for _, o := range m.of(groupIngress, "NetworkPolicy") {
		types := o.spec("policyTypes").Strings()
		if o.spec("podSelector", "matchExpressions") != nil {
			continue // whom it is for is not judged, so it counts for nobody
		}
		if o.namespace != w.namespace || !selects(o.spec("podSelector", "matchLabels"), w.pod().Get("metadata", "labels")) || len(types) > 0 && !slices.Contains(types, "Ingress") {
			continue
		}
		found = true
		for _, in := range o.spec("ingress").List() {
			from := in.Get("from").List()
			if len(from) == 0 || slices.ContainsFunc(from, anybody) {
				return false
			}
		}
	}
	return found
}

// anybody says whether a peer of a NetworkPolicy is every address, or every pod of every namespace.
func anybody(peer *syntax.Node) bool {
	namespaces, pods := peer.Get("namespaceSelector"), peer.Get("podSelector")
	every := namespaces != nil && len(namespaces.Each()) == 0 && len(pods.Each()) == 0
	return every || everybody(peer.Get("ipBlock", "cidr").Strings())
}
