package kubernetes_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const page = "../../docs/quickstart-kubernetes.md"

// TestQuickstart goes through what the page tells a reader to type. Without a cluster nothing is applied: the files that are named
// are those that TestSchemas holds against their schemas, and what runs in the gate's pod runs here, against a gate
// with the manifest's configuration.
func TestQuickstart(t *testing.T) {
	var tried []string
	for _, m := range manifests(t) {
		tried = append(tried, "examples/kubernetes/"+m.name)
	}
	commands := typed(t)
	program := start(t)
	applied, inPod, judged, patches := 0, 0, 0, 0
	shipped := find(t, "gate.yaml", "NetworkPolicy", "devicegate")
	policy := shipped
	for _, command := range commands {
		words := strings.Fields(command)
		switch {
		case strings.HasPrefix(command, "kubectl apply -f "):
			if applied++; !slices.Contains(tried, words[3]) {
				t.Errorf("%s: no manifest that is held against a schema", command)
			}
		case strings.Contains(command, " patch networkpolicy "):
			policy = patched(t, policy, command)
			patches++
		case strings.Contains(command, " -- devicegate "):
			inPod++
			_, arguments, _ := strings.Cut(command, " -- devicegate ")
			program.run(t, strings.Fields(arguments))
		case strings.HasPrefix(command, "devicegate doctor "):
			judged++
			program.judge(t, words[1:])
		case strings.Contains(command, "statefulset/"):
			find(t, "gate.yaml", "StatefulSet", command[strings.Index(command, "statefulset/")+len("statefulset/"):])
		}
	}
	if patches != 2 || !reflect.DeepEqual(policy.at("spec", "egress"), shipped.at("spec", "egress")) {
		t.Errorf("after %d patches the gate's pod may call %v", patches, policy.at("spec", "egress"))
	}
	if applied < 6 || inPod < 4 || judged < 1 {
		t.Errorf("of the page's commands %d were applied, %d run in the pod and %d judge manifests", applied, inPod, judged)
	}
}

// patched is the policy after a merge patch (RFC 7386) of the page, which the schema takes.
func patched(t *testing.T, policy object, command string) object {
	t.Helper()
	_, text, _ := strings.Cut(command, " -p ")
	var patch struct{ Spec map[string]any }
	if err := json.Unmarshal([]byte(strings.Trim(text, "'")), &patch); err != nil || len(patch.Spec) == 0 {
		t.Fatalf("%s: %v", command, err)
	}
	spec := maps.Clone(policy.at("spec").(map[string]any))
	maps.Copy(spec, patch.Spec)
	next := maps.Clone(policy)
	next["spec"] = spec
	if err := loadSchemas(t).check(t, next); err != nil {
		t.Errorf("%s: %v", command, err)
	}
	return next
}

// judge has doctor read manifests as the page names them, where the reader is: in the project's folder, without the
// gate's configuration. It finds nothing, and says what it was not shown.
func (g *gate) judge(t *testing.T, arguments []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), g.program, arguments...)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Traefik's arguments are in no file") || !strings.Contains(string(out), "2 places ask the gate") {
		t.Errorf("devicegate %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}

// typed returns the lines of the page's shell blocks.
func typed(t *testing.T) []string {
	t.Helper()
	var commands []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(read(t, page), -1) {
		commands = append(commands, strings.Split(strings.TrimSpace(m[1]), "\n")...)
	}
	return commands
}

// gate is the program as it runs in the pod, but for its addresses and its volume.
type gate struct {
	program string
	environ []string
}

func start(t *testing.T) *gate {
	t.Helper()
	dir := t.TempDir()
	g := &gate{program: filepath.Join(dir, "devicegate")}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", g.program, "../../cmd/devicegate").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join(dir, "devicegate.yaml")
	text := find(t, "gate.yaml", "ConfigMap", "devicegate").text("data", "devicegate.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g.environ = append(os.Environ(), "DEVICEGATE_CONFIG="+file, "DEVICEGATE_STORE_PATH="+filepath.Join(dir, "devicegate.db"),
		"DEVICEGATE_CHECKS_HTTP_ADDRESS=127.0.0.1:0", "DEVICEGATE_CHECKS_GRPC_ADDRESS=127.0.0.1:0",
		"DEVICEGATE_API_ADDRESS=127.0.0.1:0", "DEVICEGATE_OPERATIONS_ADDRESS=unix:"+filepath.Join(dir, "operations.sock"))
	g.serve(t)
	return g
}

// serve starts the gate and waits until it is ready.
func (g *gate) serve(t *testing.T) {
	t.Helper()
	cmd := exec.Command(g.program, "serve")
	cmd.Env = g.environ
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		ask := exec.CommandContext(ctx, g.program, "healthcheck")
		ask.Env = g.environ
		if ask.Run() == nil {
			return
		}
	}
	t.Fatal("the gate did not become ready")
}

// run runs a command as the page has it. What needs the cluster's address is only held against its help.
func (g *gate) run(t *testing.T, arguments []string) {
	t.Helper()
	if slices.ContainsFunc(arguments, func(a string) bool { return strings.Contains(a, "$GATEWAY") }) {
		arguments = append(arguments, "--help")
	}
	cmd := exec.CommandContext(t.Context(), g.program, arguments...)
	cmd.Env, cmd.Stdin = g.environ, strings.NewReader("no.token.of-this-gate\n")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	refused := errors.As(err, &exit) && exit.ExitCode() == 3 && arguments[0] == "explain" // nobody has a token here
	if err != nil && !refused {
		t.Errorf("devicegate %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}
