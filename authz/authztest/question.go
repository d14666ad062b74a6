package authztest

import (
	"net/http"
	"testing"

	"devicegate/authz"
)

// Question is one check, in no proxy's words.
type Question struct {
	Authorization []string
	Policy        string // as the operator's configuration names it; empty: it names "default" where it must
	Incomplete    bool   // something that the adapter reads is missing
	Method        string // empty means GET
	Host          string // empty means DefaultHost
	Path          string // with the query, as the client sent it; empty means DefaultPath
	ForwardedFor  []string
	Origin        []string
	Preflight     []string // Access-Control-Request-Method
}

// What a question asks for where it does not say. None of it may turn up in a refusal.
const (
	DefaultHost = "host-canary.example"
	DefaultPath = "/path-canary?query-canary=1"
)

// Filled returns q with its defaults written out.
func (q Question) Filled() Question {
	if q.Method == "" {
		q.Method = "GET"
	}
	if q.Host == "" {
		q.Host = DefaultHost
	}
	if q.Path == "" {
		q.Path = DefaultPath
	}
	return q
}

// Answer is what the proxy got, in no proxy's words.
type Answer struct {
	Status int         // as the proxy's client would see it
	Header http.Header // canonical names
	Remove []string    // what the proxy is told to take from the client's request
	Body   string
	Size   int // bytes of all headers
}

// Ask puts a question and returns the answer. It fails the test where the answer breaks a rule that only
// the adapter's protocol has.
type Ask func(t *testing.T, q Question) Answer

// Start makes a gate reachable through one adapter for as long as the test lives.
type Start func(t *testing.T, gate *Gate) Ask

// Adapter is one adapter as the table sees it.
type Adapter struct {
	Name  authz.Adapter
	Start Start
	// Envelope names the headers that an allow carries beside the identity; canonical, sorted.
	Envelope []string
	// Removes says that the proxy is told what to remove; the others remove what an answer leaves out.
	Removes bool
}
