package config

import "strings"

// Paths returns the dotted paths of all keys.
func Paths() []string {
	c := Default()
	var paths []string
	for _, k := range keys(&c) {
		paths = append(paths, k.path)
	}
	return paths
}

// IssuerPaths returns the dotted paths of the keys of one issuer, seen from the issuer.
func IssuerPaths() []string {
	var paths []string
	for _, k := range issuerKeys("", &Issuer{}) {
		paths = append(paths, strings.TrimPrefix(k.path, "."))
	}
	return paths
}

// PolicyPaths returns the dotted paths of the keys of one policy, seen from the policy.
func PolicyPaths() []string {
	var paths []string
	for _, k := range policyKeys("", &Policy{}) {
		paths = append(paths, strings.TrimPrefix(k.path, "."))
	}
	return paths
}

// NewPolicy is newPolicy.
var NewPolicy = newPolicy

// Variable is variable.
var Variable = variable
