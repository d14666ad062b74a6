package bolt_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/db/dbtest"
)

// BenchmarkCommit shows what sharing a sync is worth: the time is of one commit among as many
// writers.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s := dbtest.New(b)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if _, err := s.Commit(b.Context(), put(fmt.Sprintf("k/%d", n%10_000), make([]byte, 200))); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkOpen shows what the inspection of a store of 200,000 records costs.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "test.db")
	s := mustOpen(b, path, bolt.Options{})
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := range 100 {
				var txn db.Txn
				for n := range db.MaxWrites {
					txn.Writes = append(txn.Writes, db.Put(fmt.Sprintf("k/%d/%d/%d", i, n, w), make([]byte, 200)))
				}
				if _, err := s.Commit(b.Context(), txn); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := mustOpen(b, path, bolt.Options{}).Close(); err != nil {
			b.Fatal(err)
		}
	}
}
