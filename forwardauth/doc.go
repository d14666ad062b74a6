// Package forwardauth answers checks that proxies ask over HTTP. One small file per proxy family says
// which headers of the family are read; nothing is decided here.
//
// It fails closed: a request that the family's headers do not fully describe is handed over as
// incomplete, which refuses it; a panic is answered 403, because an aborted connection is what a proxy
// with failure_mode_allow would let pass.
//
// This is a plain net/http handler without a router. A router would clean, decode and redirect the path,
// and over Envoy's HTTP mode the path behind the policy belongs to the client.
package forwardauth
