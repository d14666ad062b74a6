// Package kubernetes_test holds the manifests against the schemas of what they are sent to (Kubernetes itself, and the
// custom resources of Traefik, Envoy Gateway, Istio and the Gateway API), including the rules in CEL that a schema of
// a custom resource may have, and against the examples that run in front of the real proxies. No cluster is started.
package kubernetes_test
