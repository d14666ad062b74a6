package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"text/tabwriter"
	"time"
)

// timingPlan bounds a run that asks whether time tells who has an account.
type timingPlan struct {
	limit  time.Duration // of the whole run
	names  int           // accounts of each kind, and made-up names; each is tried by turns
	alone  int           // attempts of each kind, one after the other
	beside int           // attempts of each kind while others sign in
	lanes  int           // of the latter, so many at once
	crowd  int           // others who sign in without pause meanwhile
}

var (
	fullTiming  = timingPlan{limit: 90 * time.Minute, names: 200, alone: 5000, beside: 500, lanes: 20, crowd: 50}
	quickTiming = timingPlan{limit: 2 * time.Minute, names: 3, alone: 12, beside: 6, lanes: 2, crowd: 3}
)

// The kinds of attempts that must not be told apart.
const (
	unknownName = iota
	wrongPassword
	disabledAccount // with its right password
	kinds
)

// timingReport is what came of it.
type timingReport struct {
	Machine machine     `json:"machine"`
	Rows    []timingRow `json:"rows"`
}

// timingRow compares the times of one kind of attempt with those of made-up names.
type timingRow struct {
	What   string  `json:"what"`
	Beside int     `json:"beside"` // others who sign in meanwhile
	Pairs  int     `json:"pairs"`
	AUC    float64 `json:"auc"`
	Median float64 `json:"median_ms"`
	Nobody float64 `json:"median_of_made_up_names_ms"`
}

// guesser tries passwords and takes the time of each answer.
type guesser struct {
	api    string
	client *http.Client
	plan   timingPlan
}

func (g *guesser) name(kind, i int) string {
	return fmt.Sprintf("%s-%d", []string{"nobody", "known", "ended"}[kind], i%g.plan.names)
}

// errBusy: the service had no room for the attempt, so it says nothing about names.
var errBusy = errors.New("too many sign-ins at the moment")

// maxBusy bounds how often one attempt is repeated for want of room.
const maxBusy = 100

// tryUntilAnswered repeats an attempt for which there was no room.
func (g *guesser) tryUntilAnswered(ctx context.Context, kind, i int) (took time.Duration, err error) {
	for range maxBusy {
		if took, err = g.try(ctx, kind, i); !errors.Is(err, errBusy) {
			break
		}
	}
	return took, err
}

// try makes one attempt and demands the one answer that all of them get.
func (g *guesser) try(ctx context.Context, kind, i int) (time.Duration, error) {
	secret := "wrong " + password
	if kind == disabledAccount {
		secret = password
	}
	body, _ := json.Marshal(map[string]string{"username": g.name(kind, i), "password": secret})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.api+"/api/token", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	begin := time.Now()
	resp, err := g.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	took := time.Since(begin)
	switch {
	case err != nil:
	case resp.StatusCode == http.StatusServiceUnavailable:
		err = errBusy
	case resp.StatusCode != http.StatusUnauthorized:
		err = fmt.Errorf("a guess is answered %s: %s", resp.Status, answer)
	}
	return took, err
}

// rounds makes n rounds of one attempt of each kind, in random order.
func (g *guesser) rounds(ctx context.Context, n, lane int) (took [kinds][]float64, err error) {
	for i := range n {
		for _, kind := range rand.Perm(kinds) {
			d, err := g.tryUntilAnswered(ctx, kind, i+lane*n)
			if err != nil {
				return took, err
			}
			took[kind] = append(took[kind], d.Seconds()*1000)
		}
	}
	return took, nil
}

// besides makes the rounds of all lanes while the crowd signs in.
func (g *guesser) besides(ctx context.Context, people []*person) (took [kinds][]float64, err error) {
	crowd := gather(ctx, people)
	defer crowd.disperse()
	all := make([][kinds][]float64, g.plan.lanes)
	errs := make([]error, g.plan.lanes)
	var group sync.WaitGroup
	for lane := range g.plan.lanes {
		group.Go(func() { all[lane], errs[lane] = g.rounds(ctx, g.plan.beside/g.plan.lanes, lane) })
	}
	group.Wait()
	for _, lane := range all {
		for kind := range took {
			took[kind] = append(took[kind], lane[kind]...)
		}
	}
	return took, errors.Join(errs...)
}

func compare(beside int, took [kinds][]float64) []timingRow {
	row := func(what string, kind int) timingRow {
		return timingRow{
			What: what, Beside: beside, Pairs: len(took[kind]), AUC: auc(took[kind], took[unknownName]),
			Median: median(took[kind]), Nobody: median(took[unknownName]),
		}
	}
	return []timingRow{row("wrong password", wrongPassword), row("disabled account, right password", disabledAccount)}
}

// measureTiming sets up accounts, and takes the times of attempts on them beside those on nobody.
func measureTiming(ctx context.Context, p timingPlan, progress io.Writer) (r timingReport, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	dir, err := os.MkdirTemp("", "devicegate-timing-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	binary, err := buildGate(ctx, dir)
	if err != nil {
		return r, err
	}
	gate, err := startGate(ctx, binary, dir)
	if err != nil {
		return r, err
	}
	defer gate.stop()
	g := &guesser{api: "http://" + gate.addresses["api"], client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: p.lanes}}, plan: p}
	fmt.Fprintf(progress, "making %d accounts\n", 2*p.names+p.crowd)
	people, err := g.makeAccounts(ctx, gate)
	if err != nil {
		return r, err
	}
	if _, err := g.rounds(ctx, p.names, 0); err != nil { // each name was tried before
		return r, err
	}
	fmt.Fprintf(progress, "%d rounds alone, then %d beside %d who sign in\n", p.alone, p.beside, p.crowd)
	alone, err := g.rounds(ctx, p.alone, 0)
	if err != nil {
		return r, err
	}
	for _, row := range compare(0, alone) {
		fmt.Fprintf(progress, "alone, %s: AUC %.3f\n", row.What, row.AUC)
	}
	beside, err := g.besides(ctx, people)
	r.Machine, r.Rows = thisMachine(), append(compare(0, alone), compare(p.crowd, beside)...)
	return r, err
}

func (g *guesser) makeAccounts(ctx context.Context, gate *gate) (people []*person, err error) {
	for i := range g.plan.names {
		for _, kind := range []int{wrongPassword, disabledAccount} {
			if err := gate.addUser(ctx, g.name(kind, i), password); err != nil {
				return nil, err
			}
		}
		if err := gate.disableUser(ctx, g.name(disabledAccount, i)); err != nil {
			return nil, err
		}
	}
	for i := range g.plan.crowd {
		who := newPerson(gate.addresses["api"], fmt.Sprintf("crowd-%d", i))
		if err := gate.addUser(ctx, who.name, password); err != nil {
			return nil, err
		}
		people = append(people, who)
	}
	return people, nil
}

func (r timingReport) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "Machine: %s, %d cores, %s.\n\n", r.Machine.System, r.Machine.Cores, r.Machine.Go)
	fmt.Fprintln(out, "Does the time of an answer tell an account from a name that nobody has? AUC 0.5: not at all; 1: always.")
	fmt.Fprintln(t, "\nattempt\tbeside\tpairs\tAUC\tmedian ms\tmade-up name ms\t")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%d\t%d\t%.3f\t%.2f\t%.2f\t\n", row.What, row.Beside, row.Pairs, row.AUC, row.Median, row.Nobody)
	}
	return t.Flush()
}
