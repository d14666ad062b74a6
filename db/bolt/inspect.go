package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// The header of a bbolt file, in the byte order of the machine. Two copies of it are kept, in the
// first two pages; a commit writes them in turn, so that the one before is still there after a crash.
const (
	pageHeader = 16 // id 8, flags 2, count 2, overflow 4
	metaSize   = 64 // magic 4, version 4, page size 4, flags 4, root 16, free list 8, pages 8, txid 8, checksum 8

	metaMagic   = 0xED0CDAED
	metaVersion = 2

	minPage = 1 << 10
	maxPage = 1 << 24

	noFreelist = ^uint64(0)
)

// meta is one copy of the header.
type meta struct {
	pageSize int64
	root     uint64 // page of the root bucket
	freelist uint64 // page of the list of free pages
	pages    uint64 // how many pages the file uses
	txid     uint64
}

// errNoMagic: the bytes are no header of bbolt's at all.
var errNoMagic = errors.New("no header")

// inspected is what inspect found in a sound file.
type inspected struct {
	pageSize int64
	halved   bool // one of the two headers is damaged
}

// inspect decides whether bbolt may be let near a file: it believes page numbers and counts, and
// answers wrong ones with panics, faults and endless recursion, and an empty leaf with silently
// missing records. It reads the whole file once and never fails open: the error wraps ErrEmpty,
// ErrNotOurs, ErrDamaged or ErrNewer.
func inspect(r io.ReaderAt, size int64) (inspected, error) {
	if size == 0 {
		return inspected{}, ErrEmpty
	}
	first, second, err := headers(r)
	if err != nil {
		return inspected{}, err
	}
	current, halved := first, false
	switch {
	case first == nil || second == nil:
		halved = true
		if first == nil {
			current = second
		}
	case second.txid > first.txid:
		current = second
	}
	if uint64(size/current.pageSize) < current.pages {
		return inspected{}, fmt.Errorf("%w: it was cut to %d bytes, %d pages of %d bytes should be there",
			ErrDamaged, size, current.pages, current.pageSize)
	}
	if current.freelist == noFreelist {
		return inspected{}, fmt.Errorf("%w: it keeps no list of free pages", ErrNotOurs)
	}
	if err := newWalk(r, current).file(current); err != nil {
		return inspected{}, err
	}
	return inspected{pageSize: current.pageSize, halved: halved}, nil
}

// headers reads both copies. A nil one is damaged; one of the two is sound where err is nil.
func headers(r io.ReaderAt) (first, second *meta, err error) {
	first, err = readMeta(r, 0)
	if err == nil {
		second, _ = readMeta(r, first.pageSize)
		return first, second, nil
	}
	// Where the second copy starts is written in the first: try every size of page.
	for at := int64(minPage); at <= maxPage; at *= 2 {
		m, secondErr := readMeta(r, at)
		if secondErr == nil && m.pageSize == at {
			return nil, m, nil
		}
		if errors.Is(err, errNoMagic) && secondErr != nil {
			err = secondErr
		}
	}
	if errors.Is(err, errNoMagic) {
		return nil, nil, ErrNotOurs
	}
	return nil, nil, err
}

// readMeta reads the copy in the page that starts at offset.
func readMeta(r io.ReaderAt, offset int64) (*meta, error) {
	page := make([]byte, pageHeader+metaSize)
	n, err := r.ReadAt(page, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: reading it failed: %s", ErrDamaged, oneLine(err))
	}
	b, order := page[pageHeader:], binary.NativeEndian
	if n < pageHeader+8 || order.Uint32(b) != metaMagic {
		return nil, errNoMagic
	}
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSize-8]) // a hash never fails
	if n < len(page) || sum.Sum64() != order.Uint64(b[56:]) {
		return nil, fmt.Errorf("%w: both of its headers are spoilt", ErrDamaged)
	}
	if v := order.Uint32(b[4:]); v != metaVersion {
		return nil, fmt.Errorf("%w (of the file format, %d)", ErrNewer, v)
	}
	m := &meta{
		pageSize: int64(order.Uint32(b[8:])),
		root:     order.Uint64(b[16:]),
		freelist: order.Uint64(b[32:]),
		pages:    order.Uint64(b[40:]),
		txid:     order.Uint64(b[48:]),
	}
	if m.pageSize < minPage || m.pageSize > maxPage || m.pageSize&(m.pageSize-1) != 0 {
		return nil, fmt.Errorf("%w: its header names pages of %d bytes", ErrDamaged, m.pageSize)
	}
	return m, nil
}
