package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// attackOf starts one attack on a victim.
func attackOf(ctx context.Context, t *testing.T, v victim, name string) (*attackers, error) {
	t.Helper()
	o := order{Victim: v, Sizes: quickAbuse.sizes}
	for i, a := range v.abuses(o.Sizes) {
		if strings.Contains(a.name, name) {
			o.Attack = i
			return new(rig).attack(ctx, o)
		}
	}
	t.Fatalf("there is no attack %q", name)
	return nil, nil
}

// What attackers burn must not be taken from the gate and its honest clients.
func TestAttackersHaveTheLowestPriority(t *testing.T) {
	a, err := attackOf(t.Context(), t, victim{}, "only counts")
	if err != nil {
		t.Fatal(err)
	}
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", a.cmd.Process.Pid))
	if err != nil || len(stats) < 2 {
		t.Fatalf("threads of the attackers: %v, %v, want several", stats, err)
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// Field 3 follows the name, which is in brackets and may hold spaces.
		field := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
		if nice := field[19-3]; nice != "19" {
			t.Errorf("%s: nice %s, want 19", path, nice)
		}
	}
	if _, err := a.end(); err != nil {
		t.Error(err)
	}
	if a.cmd.ProcessState == nil {
		t.Error("they have not ended")
	}
}

// A run that is interrupted leaves no attackers behind, and neither does one that is killed.
func TestAttackersEnd(t *testing.T) {
	for name, end := range map[string]func(cancel func(), a *attackers){
		"interrupted":       func(cancel func(), _ *attackers) { cancel() },
		"the parent killed": func(_ func(), a *attackers) { _ = a.stdin.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			a, err := attackOf(ctx, t, victim{}, "only counts")
			if err != nil {
				t.Fatal(err)
			}
			defer a.stop()
			end(cancel, a)
			<-a.ended
		})
	}
}

// Attackers who cannot attack, or stop to, fail the run: a gate that nobody attacks is not strong.
func TestAttackersWhoCannot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := victim{HTTP: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	if a, err := attackOf(t.Context(), t, v, "distinct invalid tokens"); err == nil {
		a.stop()
		t.Error("a gate that hangs up: got no error, want one")
	}
	l.Close()
	if a, err := attackOf(t.Context(), t, v, "slow headers"); err == nil {
		a.stop()
		t.Error("a gate that is not there: got no error, want one")
	}
}

// What attackers did before all of them had begun is not what they did meanwhile.
func TestActsAreCounted(t *testing.T) {
	more, done := make(chan struct{}), make(chan struct{}, 2)
	end, err := begin(t.Context(), abuse{attackers: 2, attack: func(ctx context.Context, a *attacker) error {
		a.did()
		<-more
		for range 3 {
			a.did()
		}
		done <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	close(more)
	<-done
	<-done
	if w := end(); w.Acts != 6 || w.Took <= 0 || w.Fault != "" {
		t.Errorf("got %+v, want 6 acts, a time and no fault", w)
	}
}
