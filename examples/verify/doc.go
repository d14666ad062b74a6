// Package verify holds no code, only tests: backends in Go and Python (go/, python/) verify the assertions of a real
// gate, and refuse everything else that could stand in their place. docs/assertion.md is the page about them.
package verify
