package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"devicegate/config"
)

// TestAdminScripts walks each script twice: the words are the same beside the running service and on the
// closed file.
func TestAdminScripts(t *testing.T) {
	for _, mode := range []string{"running", "closed"} {
		t.Run(mode, func(t *testing.T) {
			p := scriptParams("testdata/admin")
			p.Setup = func(env *testscript.Env) error { return setUpAdminScript(env, mode == "running") }
			p.Condition = func(word string) (bool, error) {
				if word != "running" && word != "closed" {
					return false, fmt.Errorf("unknown condition %q", word)
				}
				return word == mode, nil
			}
			p.Cmds["signin"], p.Cmds["member"], p.Cmds["token"] = scriptSignIn, scriptMember, scriptToken
			testscript.Run(t, p)
		})
	}
}

type scriptKey struct{}

// scriptService is the service of one script.
type scriptService struct {
	dir     string
	environ []string
	running *exec.Cmd // nil: the script works on the closed file
}

func setUpAdminScript(env *testscript.Env, running bool) error {
	if err := setUpScript(env); err != nil {
		return err
	}
	env.Setenv("DEVICEGATE_API_ADDRESS", "unix:"+filepath.Join(env.WorkDir, "api"))
	env.Setenv("DEVICEGATE_API_SIGN_IN_RATE", "100000/1s")
	env.Setenv("DEVICEGATE_LOCKOUT_THRESHOLD", "2")
	if own := filepath.Join(env.WorkDir, "devicegate.yaml"); exists(own) {
		env.Setenv("DEVICEGATE_CONFIG", own)
	}
	env.Setenv("TRICK", "\x1b[31mroot\u009b2J")
	s := &scriptService{dir: env.WorkDir, environ: env.Vars}
	env.Values[scriptKey{}] = s
	if !running {
		return nil
	}
	var err error
	if s.running, err = s.start(); err != nil {
		return err
	}
	env.Defer(func() {
		_ = s.running.Process.Kill()
		_ = s.running.Wait() // it was killed
	})
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// start starts the service and waits until it is ready.
func (s *scriptService) start() (*exec.Cmd, error) {
	program, err := exec.LookPath("devicegate")
	if err != nil {
		return nil, err
	}
	var log bytes.Buffer
	cmd := exec.Command(program, "serve")
	cmd.Dir, cmd.Env, cmd.Stderr = s.dir, s.environ, &log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ready := s.client("ops")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		resp, err := ready.Get("http://ops/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return cmd, nil
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	return nil, fmt.Errorf("the service was never ready:\n%s", &log)
}

func (s *scriptService) client(socket string) *http.Client {
	return &http.Client{Timeout: patience, Transport: dialing(config.Address{Network: "unix", Addr: filepath.Join(s.dir, socket)})}
}

// signIn returns the status of a sign-in and its access token. Where the file is to stay closed, the service runs only
// for it.
func (s *scriptService) signIn(name, password, from string) (status int, access string, err error) {
	if s.running == nil {
		var cmd *exec.Cmd // err must be the result: what is wrong at the end is told with it
		if cmd, err = s.start(); err != nil {
			return 0, "", err
		}
		defer func() { err = errors.Join(err, cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()) }()
	}
	body, err := json.Marshal(map[string]string{"username": name, "password": password})
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequest(http.MethodPost, "http://api/api/token", bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	req.Header.Set("X-Forwarded-For", from)
	resp, err := s.client("api").Do(req)
	if err != nil {
		return 0, "", err
	}
	var tokens struct{ Access string }
	err = json.NewDecoder(resp.Body).Decode(&tokens)
	return resp.StatusCode, tokens.Access, errors.Join(err, resp.Body.Close())
}

// signin NAME PASSWORD [ADDRESS] signs in as from the address; "! signin" demands that it is refused.
func scriptSignIn(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: signin NAME PASSWORD [ADDRESS]")
	}
	from := "192.0.2.1"
	if len(args) == 3 {
		from = args[2]
	}
	status, _, err := ts.Value(scriptKey{}).(*scriptService).signIn(args[0], args[1], from)
	ts.Check(err)
	if (status == http.StatusOK) == neg {
		ts.Fatalf("the sign-in of %q is answered with %d", args[0], status)
	}
}

// member VARIABLE NAME keeps a member of the one object on stdout.
func scriptMember(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	text, ok := object[args[1]].(string)
	if !ok {
		ts.Fatalf("stdout has no member %s", args[1])
	}
	ts.Setenv(args[0], text)
}

// token FILE NAME PASSWORD signs in and writes the access token to the file.
func scriptToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: token FILE NAME PASSWORD")
	}
	status, access, err := ts.Value(scriptKey{}).(*scriptService).signIn(args[1], args[2], "192.0.2.1")
	ts.Check(err)
	if status != http.StatusOK {
		ts.Fatalf("the sign-in of %q is answered with %d", args[1], status)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(access+"\n"), 0o600))
}
