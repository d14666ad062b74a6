// Package authz decides whether a request may pass.
//
// It fails closed by construction: Decide has no error result, because an error is what proxies turn
// into "allow"; the zero Decision denies; the zero Request is refused. Adapters hand over
// what they located, untouched, and write down what was decided; they decide nothing. The gate matches no
// paths: the proxy names a policy, and method, host and URI are used for the log only.
package authz
