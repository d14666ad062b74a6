package snippet_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"devicegate/config"
	"devicegate/snippet"
)

var update = flag.Bool("update", false, "write the files of examples/ and testdata/")

// exampleOf names the folder of each proxy in examples/.
var exampleOf = map[string]string{
	"nginx": "nginx", "traefik": "traefik", "envoy": "envoy", "envoy-http": "envoy", "caddy": "caddy", "haproxy": "haproxy",
}

func load(t *testing.T, file string) *config.Config {
	t.Helper()
	cfg, err := config.Load(config.Source{File: file, FileRequired: true})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func render(t *testing.T, proxy string, cfg *config.Config, o snippet.Options) []snippet.File {
	t.Helper()
	files, err := snippet.Render(proxy, cfg, o)
	if err != nil {
		t.Fatalf("%s: %v", proxy, err)
	}
	return files
}

// TestExamples: the files that the tests of e2e/ run are what the templates give for the example's own
// configuration, so what holds for them holds for the templates.
func TestExamples(t *testing.T) {
	for _, proxy := range snippet.Proxies() {
		dir := filepath.Join("..", "examples", exampleOf[proxy])
		for _, f := range render(t, proxy, load(t, filepath.Join(dir, "devicegate.yaml")), snippet.Options{}) {
			compare(t, filepath.Join(dir, f.Name), f.Content)
		}
	}
}

// compare compares a file with what it has to be, or writes it.
func compare(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is stale; write it anew with: go test ./snippet -update\n%s", file, diff)
	}
}
