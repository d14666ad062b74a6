package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBuildIsReproducible: V13. The same source in two folders makes the same program, byte for byte, which says what it is
// made of.
func TestBuildIsReproducible(t *testing.T) {
	first, second := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere", "and deeper")
	copySource(t, "../..", first)
	copySource(t, first, second)
	built, program := map[[32]byte]string{}, filepath.Join(t.TempDir(), "devicegate")
	for _, dir := range []string{first, second} {
		goTool(t, dir, "build", "-trimpath", "-buildvcs=false", "-o", program, "./cmd/devicegate")
		content, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		built[sha256.Sum256(content)] = dir
		if bytes.Contains(content, []byte(dir)) {
			t.Errorf("the program names the folder it was built in, %s", dir)
		}
	}
	if len(built) != 1 {
		t.Error("two folders with the same source make two programs")
	}
	wantModules(t, program, first)
}

// copySource copies what a build reads.
func copySource(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "testdata" || name == "bin" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), content, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// goTool runs the go command in dir and returns what it prints.
func goTool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, cmd.Stderr)
	}
	return string(out)
}

// wantModules demands that the program lists exactly the modules of the packages that it imports, each with its checksum: what
// "go version -m" shows.
func wantModules(t *testing.T, program, source string) {
	t.Helper()
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range info.Deps {
		listed = append(listed, m.Path+" "+m.Version)
		if m.Sum == "" || m.Replace != nil {
			t.Errorf("%s is listed without a checksum, or replaced", m.Path)
		}
	}
	used := strings.Fields(goTool(t, source, "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}{{end}}{{end}}", "./cmd/devicegate"))
	slices.Sort(used)
	used = slices.Compact(used)
	for i := range used {
		used[i] = strings.Replace(used[i], "@", " ", 1)
	}
	slices.Sort(listed)
	slices.Sort(used)
	if !slices.Equal(listed, used) {
		t.Errorf("the program lists\n%v\nand uses\n%v", listed, used)
	}
	if len(listed) < 10 {
		t.Errorf("only %d modules are listed", len(listed))
	}
}
