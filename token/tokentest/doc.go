// Package tokentest forges tokens. Around one honest token of a gate, whose private key it is given, it
// makes hundreds that no gate may accept: other spellings of it, other signatures under it, and what only
// the holder of the key could sign and no issuer ever would. Each comes with the one reason for which it
// is refused, so that the same table can be put to a verifier alone and to every entrance of a running
// gate.
//
// The keys are fixed and known to everybody. The package guarantees nothing to a service and is imported
// by tests alone.
package tokentest
