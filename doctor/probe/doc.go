// Package probe sends requests through the operator's own proxy, as an attacker and as an honest client would, and
// says what got through: the half of devicegate doctor that looks at what an installation does, not at what its
// files say.
//
// It guarantees: nothing in the gate is opened for it, it acts as any operator and any user can; the account that it
// makes has a password that nobody sees and is removed when Run returns, and one that a killed run left behind by
// the next run; what is not proved is said in Report.Unproved, never passed over. No finding means that none of the
// probes got through, not that nothing can.
package probe
