// Package envoy answers Envoy's ext_authz checks over gRPC (envoy.service.auth.v3.Authorization/Check):
// translate in, translate out, nothing decided here.
//
// It fails closed. Envoy reads a CheckResponse without a status as "allow", and with failure_mode_allow it
// lets pass a gRPC error and an error_response, but refuses a denied_response of any status (measured on
// 1.40.0). So every answer carries a status, every refusal is a denied_response, and Check never returns
// an error, not even after a panic.
package envoy
