// Package doctor proves an installation: it reads the configuration files of proxies and of the gate for the
// settings that open a hole in the seam between them, each of which docs/seam.md shows against the running
// proxy.
//
// It understands the files and does not search them for words: what nginx inherits, what Caddy sorts, what a
// route of Envoy overrides is followed. A finding has a code, a place, what gets through, and the line to
// write. The package fails closed: a file whose kind is not seen, that cannot be read or parsed, or an
// expression that cannot be judged is a finding, never silence. It judges what is behind the gate: a site
// that asks nobody is none of its business, but files none of which asks the gate are a finding too.
//
// To add a rule: write one function that says what it finds, with the attack and the page in its comment,
// name it in the product's list, add the row of docs/doctor.md (go test ./doctor -update), and name its code
// beside the danger in e2e.
package doctor
