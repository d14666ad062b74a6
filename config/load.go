package config

import "strings"

// Source is where a configuration comes from. A later one of these wins over an earlier one:
// defaults, file, environment, flag.
type Source struct {
	// File is the path of the configuration file; "" means none.
	File string
	// FileRequired says that somebody asked for File by name, so that its absence is a fault.
	FileRequired bool
	// Environ holds NAME=VALUE pairs as os.Environ returns them; names without the prefix
	// DEVICEGATE_ are ignored.
	Environ []string
	// LogLevel is the value of --log-level; "" means not given.
	LogLevel string
}

// Load reads a configuration and validates it. The error is a *Faults that lists every fault; the
// Config is nil then, so an invalid one cannot be used by mistake.
func Load(src Source) (*Config, error) {
	c := Default()
	l := &loader{
		config: &c,
		keys:   keys(&c),
		origin: map[string]origin{},
		broken: map[string]bool{},
	}
	l.readFile(src.File, src.FileRequired)
	l.readEnviron(src.Environ)
	if src.LogLevel != "" {
		l.setText("log.level", "--log-level", src.LogLevel)
	}
	if !l.blind {
		l.checkTogether()
	}
	if len(l.faults) > 0 {
		l.faults.sort()
		return nil, &l.faults
	}
	l.warnShortPasswords()
	l.warnPolicies()
	l.warnPlainLookup()
	l.warnAnyIssuer()
	l.warnDroppedRoles()
	return &c, nil
}

// loader is one run of Load.
type loader struct {
	config *Config
	keys   []key
	faults Faults

	sets   int               // how often a key was set so far
	origin map[string]origin // where each key was set last; defaults have none
	broken map[string]bool   // keys and sections with a fault: nothing is concluded from their values
	blind  bool              // the file could not be read, so rules across keys would say untrue things
}

// origin is where a key was set. A higher order wins over a lower one.
type origin struct {
	order int
	place Fault
}

// set notes that the key at path now has its value from place.
func (l *loader) set(path string, place Fault) {
	l.sets++
	l.origin[path] = origin{order: l.sets, place: place}
}

// fault notes that the key at path has a fault at place.
func (l *loader) fault(path string, place Fault, message string) {
	l.broken[path] = true
	l.faults = append(l.faults, place.says(message))
}

// setText sets a key from the text of a variable or flag.
func (l *loader) setText(path, variable, text string) {
	place := Fault{Variable: variable}
	k, _ := find(l.keys, path)
	l.set(path, place)
	if k.parse == nil {
		l.fault(path, place, "a map can only be set in the file, under "+path)
		return
	}
	for _, err := range k.parse(text) {
		l.fault(path, place, err.Error())
	}
}

// sound says whether the key at path and all sections above it are without a fault.
func (l *loader) sound(path string) bool {
	for {
		if l.broken[path] {
			return false
		}
		dot := strings.LastIndexByte(path, '.')
		if dot < 0 {
			return true
		}
		path = path[:dot]
	}
}
