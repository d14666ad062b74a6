package config

import (
	"slices"
	"strings"
)

const (
	variablePrefix = "DEVICEGATE_"
	fileVariable   = variablePrefix + "CONFIG" // names the file itself; the command line reads it
)

// variable returns the name of the environment variable of the key at path.
func variable(path string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// readEnviron sets keys from environment variables. An unknown variable is no fault, because
// Kubernetes sets some of its own for a service called devicegate; all of them are one warning.
func (l *loader) readEnviron(environ []string) {
	paths := map[string]string{}
	var known []string
	for _, k := range l.keys {
		paths[variable(k.path)] = k.path
		known = append(known, variable(k.path))
	}
	values := variables(environ)
	var unknown []string
	for _, name := range sortedKeys(values) {
		switch path, ok := paths[name]; {
		case ok:
			l.setText(path, name, values[name])
		case name == fileVariable:
		case insideMap(name):
			l.fault(name, Fault{Variable: name}, "a map can only be set in the file")
		default:
			if near := nearest(name, known); near != "" {
				name += " (did you mean " + near + "?)"
			}
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		l.config.Warnings = append(l.config.Warnings,
			"environment variables that name no configuration key are ignored: "+strings.Join(unknown, ", "))
	}
}

// variables returns the pairs whose names start with our prefix. Of two with one name the first
// counts, as for os.Getenv.
func variables(environ []string) map[string]string {
	values := map[string]string{}
	for _, pair := range environ {
		name, value, ok := strings.Cut(pair, "=")
		if _, seen := values[name]; ok && !seen && strings.HasPrefix(name, variablePrefix) {
			values[name] = value
		}
	}
	return values
}

// insideMap says whether a variable can only be meant for an entry of a map, or of a list of maps.
// Ignoring it would leave out a limit or a demand that somebody counts on.
func insideMap(name string) bool {
	return strings.HasPrefix(name, variable("devices.max_devices_by_role")+"_") ||
		strings.HasPrefix(name, variable("issuers")+"_") ||
		strings.HasPrefix(name, variable("policies")+"_")
}

// sortedKeys returns the keys of m in order, so that what is reported does not change from run to
// run.
func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
