// Package authztest holds the one table of how a check is answered, which every adapter is run through:
// an adapter's own test says how a question is put in the words of its proxy and how the answer is read,
// and the table says what must come out. It guarantees nothing to a service and is imported by tests
// alone.
//
// Nothing is faked behind the adapters: users and devices lie in a real store, tokens are signed and
// verified, and log and metrics are the real ones.
package authztest
