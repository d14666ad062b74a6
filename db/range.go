package db

import "context"

// pageSize bounds what one read transaction holds, so that a long listing never stops a writer.
const pageSize = 1000

// PrefixEnd returns the smallest key above every key that starts with prefix ("" when there is none).
func PrefixEnd(prefix string) string {
	end := []byte(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return string(end[:i+1])
		}
	}
	return ""
}

// Each calls fn for every entry below prefix in the order of keys, in pages, and returns the
// revision at which the first page was read: a watch from there misses nothing. Entries that change
// meanwhile may be seen old or new. It stops at the first error.
func Each(ctx context.Context, s Store, prefix string, fn func(Entry) error) (Revision, error) {
	from, end, first := prefix, PrefixEnd(prefix), Revision(-1)
	for {
		page, at, err := s.Range(ctx, from, end, pageSize)
		if err != nil {
			return 0, err
		}
		if first < 0 {
			first = at
		}
		for _, e := range page {
			if err := fn(e); err != nil {
				return 0, err
			}
		}
		if len(page) < pageSize {
			return first, nil
		}
		from = page[len(page)-1].Key + "\x00"
	}
}
