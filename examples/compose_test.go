// Package examples_test holds the compose files against their schema, and against the files that the tests run.
package examples_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"devicegate/examples/schematest"
)

// TestCompose: what cannot be run without Docker is at least what Docker's own schema takes, names only files that are here,
// which are those that run in front of the real proxies, and images of one certain version.
func TestCompose(t *testing.T) {
	schema := composeSchema(t)
	files, _ := filepath.Glob("*/compose.yaml")
	if len(files) != 5 {
		t.Fatalf("there are %d compose files: %v", len(files), files)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, err := yaml.YAMLToJSON(content)
			if err != nil {
				t.Fatal(err)
			}
			document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(document); err != nil {
				t.Error(err)
			}
			mounted(t, filepath.Dir(file), string(content))
			pinned(t, string(content))
		})
	}
}

func composeSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schematest.File(t, "github.com/compose-spec/compose-go/v2", "schema/compose-spec.json")))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("compose.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("compose.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// mounted: every file that goes into a container is one of this folder.
func mounted(t *testing.T, dir, content string) {
	t.Helper()
	mounts := regexp.MustCompile(`- \./([^:]+):`).FindAllStringSubmatch(content, -1)
	if len(mounts) < 2 {
		t.Errorf("only %d files go into containers", len(mounts))
	}
	for _, m := range mounts {
		if info, err := os.Stat(filepath.Join(dir, m[1])); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s is no file of %s: Docker would make a folder of that name", m[1], dir)
		}
	}
}

// pinned: an image has a version, and a proxy that scripts/proxies pins has that one.
func pinned(t *testing.T, content string) {
	t.Helper()
	script, err := os.ReadFile("../scripts/proxies")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`image: (\S+)`).FindAllStringSubmatch(content, -1) {
		name, tag, _ := strings.Cut(m[1], ":")
		if !regexp.MustCompile(`^v?\d+\.\d+`).MatchString(tag) {
			t.Errorf("%s names no version", m[1])
		}
		short := name[strings.LastIndex(name, "/")+1:]
		want := regexp.MustCompile(`(?m)^` + short + `_version=(\S+)`).FindSubmatch(script)
		if want != nil && strings.TrimPrefix(tag, "v") != string(want[1]) {
			t.Errorf("%s is not the version that the tests run, %s", m[1], want[1])
		}
	}
}
