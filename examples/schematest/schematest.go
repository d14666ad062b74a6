// Package schematest gives tests the files of pinned modules: the schemas that others publish there. The project depends on
// none of them; they are read from Go's module cache, and a content other than the pinned one fails the test.
package schematest

import (
	_ "embed" // the list of modules
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Dir returns the folder of a module of modules.txt, fetched when it is not in the module cache.
func Dir(t testing.TB, name string) string {
	t.Helper()
	pinned, err := pins()
	if err != nil {
		t.Fatal(err)
	}
	pin, ok := pinned[name]
	if !ok {
		t.Fatalf("modules.txt does not name %s", name)
	}
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", name+"@"+pin.version)
	cmd.Dir = t.TempDir() // no go.mod: the project does not depend on it
	out, err := cmd.Output()
	var got struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil || err != nil || got.Error != "" {
		t.Fatalf("%s %s cannot be had: %v %s", name, pin.version, err, got.Error)
	}
	if got.Sum != pin.sum {
		t.Fatalf("%s %s is %s, and modules.txt says %s", name, pin.version, got.Sum, pin.sum)
	}
	return got.Dir
}

//go:embed modules.txt
var modules string

type pin struct{ version, sum string }

var pins = sync.OnceValues(func() (map[string]pin, error) {
	all := map[string]pin{}
	for line := range strings.Lines(modules) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("modules.txt: %q is not module, version and hash", line)
		}
		all[f[0]] = pin{f[1], f[2]}
	}
	return all, nil
})

// File reads a file of a module.
func File(t testing.TB, name, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(Dir(t, name), filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return content
}
