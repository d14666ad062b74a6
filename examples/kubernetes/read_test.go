package kubernetes_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"
)

// object is one document of a manifest, or a part of one.
type object map[string]any

// at returns what stands under a path of names; nil where there is nothing.
func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

func (o object) text(path ...string) string {
	s, _ := o.at(path...).(string)
	return s
}

// id names a document for people.
func (o object) id() string { return o.text("kind") + "/" + o.text("metadata", "name") }

// manifest is one file.
type manifest struct {
	name    string
	objects []object
}

// manifests returns every file but mesh.yaml, which is a part of another object.
func manifests(t *testing.T) []manifest {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no manifests", err)
	}
	var all []manifest
	for _, file := range slices.DeleteFunc(files, func(f string) bool { return f == "mesh.yaml" }) {
		all = append(all, manifest{file, readObjects(t, file)})
	}
	return all
}

func readObjects(t *testing.T, path string) []object {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, path, content)
}

func parse(t *testing.T, name string, content []byte) []object {
	t.Helper()
	var objects []object
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var o object
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if o != nil {
			objects = append(objects, o)
		}
	}
}

// find returns the one object with this kind and name.
func find(t *testing.T, file, kind, name string) object {
	t.Helper()
	for _, o := range readObjects(t, file) {
		if o.id() == kind+"/"+name {
			return o
		}
	}
	t.Fatalf("%s has no %s/%s", file, kind, name)
	return nil
}
