package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"devicegate/password/priority"
)

// attackWord as only argument turns this program into attackers. In the world they have machines of their own; here they
// are a process of their own with the lowest priority, which gets what the gate and its honest clients leave over.
const attackWord = "attack"

func isAttackers(args []string) bool { return len(args) == 2 && args[1] == attackWord }

// order is what attackers read first on their standard input.
type order struct {
	Victim victim     `json:"victim"`
	Sizes  abuseSizes `json:"sizes"`
	Attack int        `json:"attack"` // which one of victim.abuses
}

// word is what attackers say twice, a line each: when all have begun, and when all have ended.
type word struct {
	Acts   int64   `json:"acts"`             // since all had begun
	Took   float64 `json:"seconds"`          // as long
	Strong string  `json:"strong,omitempty"` // why their priority was not lowered
	Fault  string  `json:"fault,omitempty"`
}

// attacker is one of those who attack together.
type attacker struct {
	begun func() // says that he is at his height
	acts  *atomic.Int64
}

// did counts one act. The first one says that he has begun. After each he lets the gate and honest clients have his core: with
// a machine of his own he could not keep them waiting for the clock to tick.
func (a *attacker) did() {
	a.acts.Add(1)
	a.begun()
	priority.GiveWay()
}

// serveAttackers attacks as ordered until stdin ends, which happens when its parent does, however that ends.
func serveAttackers(stdin io.Reader, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var strong string
	if err := priority.Lower(); err != nil {
		strong = err.Error()
	}
	var o order
	orders := json.NewDecoder(stdin)
	if err := orders.Decode(&o); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
	}()
	words := json.NewEncoder(stdout)
	end, err := begin(ctx, o.Victim.abuses(o.Sizes)[o.Attack])
	if err != nil {
		return words.Encode(word{Fault: err.Error()})
	}
	if err := words.Encode(word{Strong: strong}); err != nil {
		return err
	}
	<-ctx.Done()
	return words.Encode(end())
}

// begin lets all attackers begin and returns once each has. end stops them and says what they did.
func begin(ctx context.Context, a abuse) (end func() word, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var group, ready sync.WaitGroup
	var acts atomic.Int64
	var fault atomic.Pointer[error]
	ready.Add(a.attackers)
	for range a.attackers {
		group.Go(func() {
			one := &attacker{begun: sync.OnceFunc(ready.Done), acts: &acts}
			defer one.begun()
			if err := a.attack(ctx, one); err != nil && ctx.Err() == nil {
				fault.CompareAndSwap(nil, &err)
			}
		})
	}
	ready.Wait()
	since, before := time.Now(), acts.Load()
	end = func() (w word) {
		w = word{Acts: acts.Load() - before, Took: time.Since(since).Seconds()}
		cancel()
		group.Wait()
		if err := fault.Load(); err != nil {
			w.Fault = (*err).Error()
		}
		return w
	}
	if fault.Load() != nil {
		return nil, errors.New(end().Fault)
	}
	return end, nil
}

// attackers are such a process, seen from the one that measures.
type attackers struct {
	*process
	words  chan word
	strong string
}

// attack starts attackers and returns once all of them have begun. They must be stopped.
func (r *rig) attack(ctx context.Context, o order) (*attackers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	a := &attackers{words: make(chan word, 2)}
	a.process, err = start(exec.CommandContext(ctx, self, attackWord), (*exec.Cmd).StdoutPipe, func(line []byte) {
		var w word
		if err := json.Unmarshal(line, &w); err != nil {
			w.Fault = fmt.Sprintf("%.200q", line)
		}
		select {
		case a.words <- w:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(a.stdin).Encode(o); err != nil {
		a.stop()
		return nil, err
	}
	first, err := a.next()
	if err != nil {
		a.stop()
		return nil, err
	}
	a.strong = first.Strong
	return a, nil
}

// attackTimeout is how long attackers may take to begin, or to end.
const attackTimeout = 2 * time.Minute

// next returns what they say next.
func (a *attackers) next() (w word, err error) {
	select {
	case w = <-a.words:
	case <-a.ended:
		select {
		case w = <-a.words:
		default:
			w.Fault = "they ended"
		}
	case <-time.After(attackTimeout):
		w.Fault = "they say nothing"
	}
	if w.Fault != "" {
		err = fmt.Errorf("the attackers: %s", w.Fault)
	}
	return w, err
}

// end ends them and returns how often a second they did what they do.
func (a *attackers) end() (perSecond float64, err error) {
	defer a.stop()
	_ = a.stdin.Close()
	w, err := a.next()
	return ratio(float64(w.Acts), w.Took), err
}
