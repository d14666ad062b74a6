package abuse_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The bounds of anonymous memory, in MB.
const (
	memory     = 256
	memoryMany = 512 // with 10,000 connections
)

// attack is one attack, and what is different about it.
type attack struct {
	memory      int  // the bound in MB; 0: 256
	noNewcomers bool // honest checks over new connections cannot be answered meanwhile
	run         func(t *testing.T, served func())
}

// withstand runs an attack beside honest checks, and demands what must hold during and after it. The attack calls
// served while it is at its height: it returns once honest checks have been answered since.
func (g *gate) withstand(t *testing.T, a attack) {
	t.Helper()
	before := g.series(t)
	watch := g.watchMemory()
	honest := g.gather(t, !a.noNewcomers)
	a.run(t, func() { t.Helper(); honest.served(t) })
	checks := honest.dismiss(t)
	g.wellAfter(t)
	highest, samples := watch.stop()
	limit := a.memory
	if limit == 0 {
		limit = memory
	}
	if samples == 0 || highest > limit<<10 {
		t.Errorf("RssAnon rose to %d MB (%d samples), want at most %d", highest>>10, samples, limit)
	}
	if diff := cmp.Diff(before, g.series(t)); diff != "" {
		t.Errorf("the metric series have changed (-before +after):\n%s", diff)
	}
	t.Logf("RssAnon at most %d MB, %d honest checks", highest>>10, checks)
}

// wellAfter demands that the process lives and answers newcomers right.
func (g *gate) wellAfter(t *testing.T) {
	t.Helper()
	g.alive(t)
	for _, ask := range []asker{g.overHTTP(false), g.overGRPC(t)} {
		if err := g.askBoth(ask); err != nil {
			t.Errorf("after the attack: %v", err)
		}
	}
	g.call(t, "operations", "GET", "/readyz", "", nil).must(t, 200, "ready after the attack")
}

// memoryWatch samples the anonymous memory of the gate: the pages that are its own, not those of files.
type memoryWatch struct {
	end, ended       chan struct{}
	highest, samples int
}

const memoryEvery = 10 * time.Millisecond

func (g *gate) watchMemory() *memoryWatch {
	w := &memoryWatch{end: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for {
			if kB, ok := rssAnon(g.cmd.Process.Pid); ok {
				w.highest, w.samples = max(w.highest, kB), w.samples+1
			}
			select {
			case <-w.end:
				return
			case <-tick.C:
			}
		}
	}()
	return w
}

// stop returns the highest sample, in kB, and how many there were.
func (w *memoryWatch) stop() (highest, samples int) {
	close(w.end)
	<-w.ended
	return w.highest, w.samples
}

// rssAnon returns the anonymous memory of a process, in kB.
func rssAnon(pid int) (kB int, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "RssAnon:"); found {
			kB, err = strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kB, err == nil
		}
	}
	return 0, false
}

// series returns the names and labels of every metric that is told, sorted.
func (g *gate) series(t *testing.T) (all []string) {
	t.Helper()
	text := g.call(t, "operations", "GET", "/metrics", "", nil).must(t, 200, "the metrics").body
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			all = append(all, line[:strings.LastIndexByte(strings.TrimSpace(line), ' ')])
		}
	}
	slices.Sort(all)
	return all
}
