package place

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// reloadEvery is how often the file is looked at.
const reloadEvery = 30 * time.Second

const (
	msgRecord   = "geo.mmdb_file has a record that cannot be read; the place stays unknown"
	msgReload   = "geo.mmdb_file cannot be taken; the last good one stays in use"
	msgReloaded = "geo.mmdb_file was replaced and read"
)

// Options say where places come from. The zero value: from nowhere.
type Options struct {
	MMDBFile    string        // a city or country database in the MaxMind DB format; "": none
	HTTPURL     string        // of the provider, with {ip}, as https://ipapi.co/{ip}/json/; "": none
	HTTPTimeout time.Duration // of a request in all; 0: 2 s
	Now         func() time.Time
	// Log is told what an operator should know, the same at most once a minute; err is nil for good news. It must not
	// block. nil: nobody.
	Log func(msg string, err error)
	// Tick takes the place of Run's 30 s, for tests.
	Tick <-chan time.Time
}

// Finder finds places. Its methods may be called at the same time; Find and Ask also after Close.
type Finder struct {
	file     *file     // nil: none
	provider *provider // nil: none
	notes    *notes
	asks     *asks
	tick     <-chan time.Time

	ctx  context.Context // until Close
	end  context.CancelFunc
	work sync.WaitGroup
}

// Open reads the file and makes ready to ask the provider. The error is ErrFile or ErrURL: what was configured
// and cannot be used is told at start, not found out by users. The caller closes the Finder.
func Open(o Options) (*Finder, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &Finder{asks: newAsks(), tick: o.Tick}
	f.notes = &notes{log: o.Log, now: o.Now, last: map[string]time.Time{}}
	var err error
	if o.MMDBFile != "" {
		if f.file, err = openFile(o.MMDBFile); err != nil {
			return nil, err
		}
	}
	if o.HTTPURL != "" {
		if f.provider, err = newProvider(o.HTTPURL, o.HTTPTimeout, o.Now, f.notes); err != nil {
			return nil, err
		}
	}
	f.ctx, f.end = context.WithCancel(context.Background())
	for range maxAsking {
		f.work.Go(f.answerAsks)
	}
	return f, nil
}

// Find returns the place of ip as the file has it, else as the provider answered before; false: not known. It
// never blocks and never fails. A special address (private, loopback, reserved, ...) is never looked up.
func (f *Finder) Find(ip netip.Addr) (Place, bool) {
	ip, ok := public(ip)
	if !ok {
		return Place{}, false
	}
	p := f.find(ip)
	return p, p.Known()
}

// find is Find for a public address.
func (f *Finder) find(ip netip.Addr) Place {
	if f.file != nil {
		p, err := f.file.good.Load().lookup(ip)
		if err != nil {
			f.notes.tell(msgRecord, err)
		}
		if p.Known() {
			return p
		}
	}
	if f.provider != nil {
		p, _ := f.provider.answers.get(ip)
		return p
	}
	return Place{}
}

// Ask has then called with the place of ip, from another goroutine, as soon as it is known: at once if Find knows it,
// else when the provider has answered. If nothing is found then is never called. Ask never blocks: when
// too many wait, then is dropped and counted. then must return, and must not call Close.
func (f *Finder) Ask(ip netip.Addr, then func(Place)) {
	ip, ok := public(ip)
	if !ok || then == nil || f.ctx.Err() != nil {
		return
	}
	if f.find(ip).Known() || f.provider != nil && f.provider.wants(ip) {
		f.asks.add(ip, then)
	}
}

// answerAsks answers one ask after the other until Close.
func (f *Finder) answerAsks() {
	for {
		select {
		case <-f.ctx.Done():
			return
		case ip := <-f.asks.queue:
			f.answer(ip)
		}
	}
}

func (f *Finder) answer(ip netip.Addr) {
	p := f.find(ip)
	if !p.Known() && f.provider != nil {
		p = f.provider.ask(f.ctx, ip)
	}
	for _, then := range f.asks.take(ip) {
		if p.Known() && f.ctx.Err() == nil {
			then(p)
		}
	}
}

// Dropped returns how many asks were given up because too many were waiting.
func (f *Finder) Dropped() uint64 { return f.asks.dropped.Load() }

// Reload looks whether the file is another one (inode, size, time of change) and takes it if all of it can be
// read. Otherwise the last good one stays in use, and Log is told.
func (f *Finder) Reload() {
	if f.file == nil {
		return
	}
	taken, err := f.file.reload()
	if err != nil {
		f.notes.tell(msgReload, err)
	} else if taken {
		f.notes.tell(msgReloaded, nil)
	}
}

// Run calls Reload every 30 s until ctx ends or the Finder is closed.
func (f *Finder) Run(ctx context.Context) {
	tick := f.tick
	if tick == nil {
		ticker := time.NewTicker(reloadEvery)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.ctx.Done():
			return
		case <-tick:
			f.Reload()
		}
	}
}

// Close ends the requests under way and returns when the last callback has; none is called afterwards. It may be
// called again, and returns nil.
func (f *Finder) Close() error {
	f.end()
	f.work.Wait()
	if f.provider != nil {
		f.provider.client.CloseIdleConnections()
	}
	return nil
}
