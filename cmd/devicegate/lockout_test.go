package main

import (
	"net/http"
	"testing"

	"devicegate/problem"
)

// TestClearLockoutsThatEndMeanwhile: what is gone when it is to be cleared is no failure; anything else is.
func TestClearLockoutsThatEndMeanwhile(t *testing.T) {
	answers := map[string]int{"a": http.StatusNoContent, "b": http.StatusNotFound, "c": http.StatusNoContent}
	a := &admin{client: &http.Client{Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(`{"results":[{"id":"a"},{"id":"b"},{"id":"c"}],"next":null}`))
			return
		}
		status := answers[r.URL.Path[len(lockoutPath)+1:]]
		w.WriteHeader(status)
		if status >= 400 {
			_, _ = w.Write(problem.New(status, "no", "No.").JSON())
		}
	})}}}
	if cleared, err := clearLockouts(t.Context(), a, nil); err != nil || cleared != 2 {
		t.Errorf("it clears %d, %v, want 2", cleared, err)
	}
	answers["c"] = http.StatusServiceUnavailable
	if cleared, err := clearLockouts(t.Context(), a, nil); err == nil || isNo(err) || cleared != 1 {
		t.Errorf("it clears %d, %v, want 1 and a failure", cleared, err)
	}
}
