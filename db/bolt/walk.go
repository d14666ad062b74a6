package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// The kinds of pages, and the mark of a leaf's entry that is itself a bucket.
const (
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	bucketEntry = 0x01
)

const (
	elementSize  = 16 // branch: pos 4, key 4, page 8; leaf: flags 4, pos 4, key 4, value 4
	bucketHeader = 16 // root page 8, sequence 8; root 0: the bucket's only page follows
	maxDepth     = 64 // of pages below each other; a tree this deep holds more than any disk
)

// walk visits every page that is in use, each once. The set of pages seen makes it end on a file
// whose pages point in circles.
type walk struct {
	r        io.ReaderAt
	pageSize int64
	pages    uint64
	seen     []uint64         // one bit a page
	buffers  [maxDepth][]byte // one for each level, reused

	// The next key of the bucket must be above floor, or, where it comes from a branch, not below.
	floor     []byte
	inclusive bool
}

func newWalk(r io.ReaderAt, m *meta) *walk {
	return &walk{r: r, pageSize: m.pageSize, pages: m.pages, seen: make([]uint64, m.pages/64+1)}
}

func damaged(id uint64, what string) error {
	return fmt.Errorf("%w: page %d %s", ErrDamaged, id, what)
}

// file walks the buckets and then the list of free pages: what is in use must not be in it, since
// the next commit would write over it.
func (w *walk) file(m *meta) error {
	if err := w.bucket(m.root, 0); err != nil {
		return err
	}
	b, err := w.load(m.freelist, 0)
	if err != nil {
		return err
	}
	order := binary.NativeEndian
	if order.Uint16(b[8:]) != freelistPage {
		return damaged(m.freelist, "is not the list of free pages")
	}
	ids, count := b[pageHeader:], uint64(order.Uint16(b[10:]))
	if count == 0xFFFF { // too many for the short counter: the first entry has it
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return damaged(m.freelist, "lists more free pages than it holds")
	}
	for i := range count {
		if err := w.claim(order.Uint64(ids[i*8:]), 1); err != nil {
			return err
		}
	}
	return nil
}

// claim notes that n pages from id on are in use, by one owner only.
func (w *walk) claim(id, n uint64) error {
	if id < 2 || id >= w.pages || n > w.pages-id {
		return damaged(id, "is beyond the end")
	}
	for ; n > 0; n, id = n-1, id+1 {
		if w.seen[id/64]&(1<<(id%64)) != 0 {
			return damaged(id, "is used twice")
		}
		w.seen[id/64] |= 1 << (id % 64)
	}
	return nil
}

// load reads a page with all that overflows from it. It is valid until the next load of its depth.
func (w *walk) load(id uint64, depth int) ([]byte, error) {
	if depth >= maxDepth {
		return nil, damaged(id, "lies too deep")
	}
	if id >= w.pages {
		return nil, damaged(id, "is beyond the end")
	}
	b := w.buffer(depth, w.pageSize)
	if err := w.read(b, id); err != nil {
		return nil, err
	}
	n := uint64(binary.NativeEndian.Uint32(b[12:])) + 1
	if binary.NativeEndian.Uint64(b) != id {
		return nil, damaged(id, "has another number in it")
	}
	if err := w.claim(id, n); err != nil {
		return nil, err
	}
	if n > 1 {
		b = w.buffer(depth, w.pageSize*int64(n))
		return b, w.read(b, id)
	}
	return b, nil
}

func (w *walk) buffer(depth int, size int64) []byte {
	if int64(cap(w.buffers[depth])) < size {
		w.buffers[depth] = make([]byte, size)
	}
	return w.buffers[depth][:size]
}

func (w *walk) read(b []byte, id uint64) error {
	if _, err := w.r.ReadAt(b, int64(id)*w.pageSize); err != nil {
		return damaged(id, "cannot be read: "+oneLine(err))
	}
	return nil
}

// bucket walks the bucket whose root is the page id. Its keys have an order of their own.
func (w *walk) bucket(id uint64, depth int) error {
	floor, inclusive := w.floor, w.inclusive
	w.floor, w.inclusive = nil, true
	err := w.tree(id, depth, true)
	w.floor, w.inclusive = floor, inclusive
	return err
}

func (w *walk) tree(id uint64, depth int, root bool) error {
	b, err := w.load(id, depth)
	if err != nil {
		return err
	}
	kind, count := binary.NativeEndian.Uint16(b[8:]), int(binary.NativeEndian.Uint16(b[10:]))
	switch {
	case kind == leafPage && (count > 0 || root): // an empty leaf further down has lost its records
		return w.leaf(id, b, depth)
	case kind == branchPage && count > 0:
		return w.branch(id, b, depth)
	}
	return damaged(id, "has lost its content")
}

func (w *walk) branch(id uint64, b []byte, depth int) error {
	order := binary.NativeEndian
	count := int(order.Uint16(b[10:]))
	for i := range count {
		element, ok := cut(b, pageHeader+i*elementSize, 0, elementSize)
		if !ok {
			return damaged(id, "counts more entries than it holds")
		}
		key, ok := cut(b, pageHeader+i*elementSize, order.Uint32(element), order.Uint32(element[4:]))
		if !ok || !w.ascends(key, true) {
			return damaged(id, "has an entry out of bounds or out of order")
		}
		if err := w.tree(order.Uint64(element[8:]), depth+1, false); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) leaf(id uint64, b []byte, depth int) error {
	order := binary.NativeEndian
	count := int(order.Uint16(b[10:]))
	for i := range count {
		at := pageHeader + i*elementSize
		element, ok := cut(b, at, 0, elementSize)
		if !ok {
			return damaged(id, "counts more entries than it holds")
		}
		pos, keySize, valueSize := order.Uint32(element[4:]), order.Uint32(element[8:]), order.Uint32(element[12:])
		key, ok := cut(b, at, pos, keySize)
		if !ok || !w.ascends(key, false) {
			return damaged(id, "has an entry out of bounds or out of order")
		}
		value, ok := cut(b, at+int(keySize), pos, valueSize)
		if !ok {
			return damaged(id, "has a value out of bounds")
		}
		if order.Uint32(element) != bucketEntry {
			continue
		}
		if err := w.nested(id, value, depth); err != nil {
			return err
		}
	}
	return nil
}

// nested walks a bucket that is an entry of the leaf id.
func (w *walk) nested(id uint64, value []byte, depth int) error {
	if len(value) < bucketHeader {
		return damaged(id, "has a bucket without a header")
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.bucket(root, depth+1)
	}
	page := value[bucketHeader:]
	if len(page) < pageHeader || binary.NativeEndian.Uint16(page[8:]) != leafPage || depth+1 >= maxDepth {
		return damaged(id, "has a bucket without content")
	}
	floor, inclusive := w.floor, w.inclusive
	w.floor, w.inclusive = nil, true
	err := w.leaf(id, page, depth+1)
	w.floor, w.inclusive = floor, inclusive
	return err
}

// cut returns size bytes at base+pos of the page, if all of them are in it.
func cut(b []byte, base int, pos, size uint32) ([]byte, bool) {
	from := int64(base) + int64(pos)
	to := from + int64(size)
	if to > int64(len(b)) {
		return nil, false
	}
	return b[from:to], true
}

// ascends notes the next key of the bucket and says whether it comes after the one before. The key
// of a branch is the lower bound of what follows, which may start with that very key.
func (w *walk) ascends(key []byte, branch bool) bool {
	order := bytes.Compare(key, w.floor)
	if order < 0 || order == 0 && !w.inclusive {
		return false
	}
	w.floor, w.inclusive = append(w.floor[:0], key...), branch
	return true
}
