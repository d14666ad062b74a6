package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestQuickstart types what docs/quickstart-*.md tell a reader to type, in the page's order, in a copy of the checkout, into one
// shell, with the real proxy: every command succeeds, and prints what the page shows. With -update the page
// gets what was printed.
//
// A block ```sh is typed; a block ```text behind it is what it prints, and without one it prints nothing. Only ports differ:
// each that the page names is a free one here.
func TestQuickstart(t *testing.T) {
	for _, proxy := range []string{"nginx", "traefik", "envoy"} { // that for Kubernetes is examples/kubernetes TestQuickstart's
		t.Run(proxy, func(t *testing.T) {
			t.Parallel()
			follow(t, "../docs/quickstart-"+proxy+".md")
		})
	}
}

// follow types one page.
func follow(t *testing.T, page string) {
	blocks := readPage(t, page)
	ports := freePorts(t)
	shell := startShell(t, checkout(t, ports), ports)
	var printed []string
	for _, b := range blocks {
		if b.kind != "sh" {
			continue
		}
		out, status := shell.typed(t, ports.here(b.text))
		shell.settle(t)
		out = ports.there(masked(out))
		printed = append(printed, out)
		if status != "0" {
			t.Fatalf("%s:%d: exit %s\n%s\nprinted\n%s", page, b.line, status, b.text, out)
		}
	}
	if *update {
		rewrite(t, page, blocks, printed)
		return
	}
	for i, b := range typedBlocks(blocks) {
		if want := masked(b.shown); printed[i] != want {
			t.Errorf("%s:%d:\n%s\nprinted\n%s\nthe page shows\n%s", page, b.line, b.text, printed[i], want)
		}
	}
}

// block is a fenced part of a page.
type block struct {
	kind  string // sh or text
	text  string
	line  int
	shown string // of a block sh: what the page says that it prints
}

func readPage(t *testing.T, page string) []block {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	var in *block
	for i, line := range strings.Split(string(content), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && in == nil:
			in = &block{kind: fence, line: i + 1}
		case isFence:
			blocks = append(blocks, *in)
			in = nil
		case in != nil:
			in.text += line + "\n"
		}
	}
	return blocks
}

// typedBlocks returns the blocks that are typed, each with what stands behind it.
func typedBlocks(blocks []block) []block {
	var typed []block
	for i, b := range blocks {
		if b.kind != "sh" {
			continue
		}
		if i+1 < len(blocks) && blocks[i+1].kind == "text" {
			b.shown = blocks[i+1].text
		}
		typed = append(typed, b)
	}
	return typed
}

// rewrite puts what was printed into the page.
func rewrite(t *testing.T, page string, blocks []block, printed []string) {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rest, done := string(content), ""
	for i, b := range typedBlocks(blocks) {
		before, after, found := strings.Cut(rest, "```sh\n"+b.text+"```\n")
		if b.shown != "" {
			var ok bool
			after, ok = strings.CutPrefix(after, "\n```text\n"+b.shown+"```\n")
			found = found && ok
		}
		if !found {
			t.Fatalf("%s:%d: the block, or what it prints directly behind it, is not found", page, b.line)
		}
		done += before + "```sh\n" + b.text + "```\n"
		if printed[i] != "" {
			done += "\n```text\n" + printed[i] + "```\n"
		}
		rest = after
	}
	if err := os.WriteFile(page, []byte(done+rest), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What differs from run to run is shown as one example of it.
var volatile = []struct {
	pattern *regexp.Regexp
	shown   string
}{
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "eyJhbGciOiJFZERTQSIs..."},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "5c0b9a52-3b0e-4d53-9a3f-0c1b7f1f6a11"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "0199c1a0-7b1e-7c3a-b2f4-6d5e4f3a2b1c"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "2026-11-21T10:00:00Z"},
	{regexp.MustCompile(`\b\d+s ago`), "0s ago"},
	{regexp.MustCompile(`expires in \d+[ms]`), "expires in 14m"},
	{regexp.MustCompile(`Sent \d+ requests`), "Sent 150 requests"},         // with those that waited for the route
	{regexp.MustCompile(`last from: [0-9a-f.:]+`), "last from: 192.0.2.2"}, // Envoy writes its machine's address for loopback
}

// chatter is what a program says to its terminal, or a shell that is not one: a reader need not see it.
var chatter = regexp.MustCompile(`(?m)^(.* \[notice\] .* signal process started|bash: line \d+: +\d+ Terminated .*)\n`)

func masked(out string) string {
	out = chatter.ReplaceAllString(strings.ReplaceAll(out, "\r\n", "\n"), "")
	for _, v := range volatile {
		out = v.pattern.ReplaceAllString(out, v.shown)
	}
	return out
}

// ports are the ports that the pages name, and those that are taken here in their place.
type ports struct{ forth, back *strings.Replacer }

var pagePorts = []string{"8080", "9000", "9001", "9280", "9281", "9282", "9283"}

// freePorts takes ports that the system gives to nobody by itself: a page starts its proxy anew on the same one.
func freePorts(t *testing.T) ports {
	t.Helper()
	var forth, back []string
	for _, port := range pagePorts {
		free := ""
		for free == "" {
			free = strconv.Itoa(29_000 + rand.IntN(3_000)) // above the doors, and below net.ipv4.ip_local_port_range
			l, err := net.Listen("tcp", ":"+free)
			if err != nil {
				free = ""
				continue
			}
			_ = l.Close()
			if _, given := givenPorts.LoadOrStore(free, true); given {
				free = ""
			}
		}
		forth, back = append(forth, port, free), append(back, free, port)
	}
	return ports{strings.NewReplacer(forth...), strings.NewReplacer(back...)}
}

func (p ports) here(text string) string  { return p.forth.Replace(text) }
func (p ports) there(text string) string { return p.back.Replace(text) }

// checkout copies what a reader has checked out, with the ports of here in what snippet writes.
func checkout(t *testing.T, p ports) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(root, path)
		switch {
		case err != nil || relErr != nil:
			return errors.Join(err, relErr)
		case d.IsDir() && (name == ".git" || name == "bin" || name == "e2e" || name == "abuse"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Dir(name) == filepath.Join("snippet", "templates") { // their port is not the reader's to say
			content = []byte(p.here(string(content)))
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), content, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// shell is one terminal in which all of a page is typed.
type shell struct {
	dir string // of the checkout
	in  io.Writer
	out *bufio.Reader
}

// endOfBlock is printed behind each block, with its exit status.
const endOfBlock = "-- end of block, status "

func startShell(t *testing.T, dir string, p ports) *shell {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	cmd := exec.CommandContext(ctx, "bash", "--noprofile", "--norc")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what the page leaves running ends with it
	cmd.Env = append(os.Environ(), "PATH="+withPrograms(t)+":"+os.Getenv("PATH"), "NO_COLOR=1", "TERM=dumb")
	for name, port := range map[string]string{"CHECKS_HTTP": "9280", "CHECKS_GRPC": "9281", "API": "9282", "OPERATIONS": "9283"} {
		cmd.Env = append(cmd.Env, "DEVICEGATE_"+name+"_ADDRESS=127.0.0.1:"+p.here(port))
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	t.Cleanup(func() {
		_ = in.Close()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait()
		cancel()
		_ = out.Close()
	})
	return &shell{dir, in, bufio.NewReader(out)}
}

// withPrograms makes a folder with the proxies under the names that a reader calls them by. Envoy shares memory with others of its
// machine unless it is told not to, and here run several.
func withPrograms(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"nginx", "traefik", "envoy"} {
		script := "#!/bin/sh\nexec " + needProgram(t, name) + ` "$@"` + map[string]string{"envoy": " --disable-hot-restart"}[name] + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// typed types a block and returns what it printed, and its exit status.
func (s *shell) typed(t *testing.T, block string) (printed, status string) {
	t.Helper()
	// The last command that failed counts, wherever in the block it stands.
	_, err := fmt.Fprintf(s.in, "failed=0; trap 'failed=$?' ERR\neval %s\ntrap - ERR; echo; echo '%s'$failed\n", quoted(block), endOfBlock)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if status, ok := strings.CutPrefix(line, endOfBlock); ok {
			return strings.TrimSuffix(out.String(), "\n"), strings.TrimSpace(status)
		}
		out.WriteString(line)
		if err != nil {
			t.Fatalf("the shell ended: %v\n%s\nprinted\n%s", err, block, out.String())
		}
	}
}

// settle waits until an nginx that was told to reload has ended its old worker. For a moment both answer, and a
// reader types more slowly than that.
func (s *shell) settle(t *testing.T) {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(s.dir, "try-nginx", "nginx.pid"))
	if err != nil {
		return
	}
	id := strings.TrimSpace(string(pid))
	if !eventually(30*time.Second, func() bool {
		children, err := os.ReadFile(filepath.Join("/proc", id, "task", id, "children"))
		return err != nil || len(strings.Fields(string(children))) <= 1
	}) {
		t.Fatal("nginx still has its old worker")
	}
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
