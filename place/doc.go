// Package place says in which country, region and city an address is, from a file in the MaxMind DB format
// and, where the file knows nothing, from a provider that is asked over HTTP.
//
// It is a help for people and for policies about countries, never a proof: a client behind a VPN is where the
// VPN ends. Whatever fails, the answer is "not known": nothing here fails a request or holds it up. What
// follows from a place that is not known is the caller's decision (a policy that requires a country refuses).
//
// # The file
//
// The file is read into memory, not mapped: a mapped file that somebody truncates or overwrites in place ends
// the whole process with SIGBUS at the next lookup. The price is the file's size in memory, and twice that
// while a new one is read. A file is taken only when every record of it can be read, so a download that broke
// off never takes the place of a good one. The country is country.iso_code alone: registered_country says
// where the holder of a network is registered, not where its users are, and a guess must not open a policy.
//
// # The provider
//
// The provider learns the addresses of the people who sign in, and only these: no special address (see
// addresses.go) ever leaves. What it answers is hostile text: bounded, cleaned, and never shown otherwise. Its
// answers are believed for a day, "not known" for an hour. A provider that fails is left alone for a while.
package place
