package keysource

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"devicegate/safetext"
	"devicegate/token/compact"
)

const (
	maxDocument = 512 << 10 // bytes
	maxKeys     = 100
	maxNesting  = 8  // a JWK set needs 4: itself, the keys, a key, and x5c or key_ops in it
	maxShownKid = 40 // bytes, in messages
)

// document tells a JWK set from a single JWK. Members of other names do not matter (RFC 7517, section 5).
type document struct {
	Keys jsontext.Value `json:"keys"`
	Type jsontext.Value `json:"kty"`
}

// readJWKS reads a JWK set, or, if single, also one JWK. Keys that cannot be used are listed in what is found. It
// is an error if none can be used, so that such a document takes the place of no better one.
func readJWKS(content []byte, list []string, single bool) (*found, error) {
	if len(content) > maxDocument {
		return nil, fmt.Errorf("it is over %d bytes: it should hold a few keys and nothing else", maxDocument)
	}
	content = bytes.Trim(content, " \t\r\n") // the white space of JSON
	if !compact.Object(content, maxNesting) {
		return nil, errors.New("it is not one JSON object in UTF-8, without duplicate members and without anything behind it: a JWK set is needed")
	}
	keys, err := entries(content, single)
	if err != nil {
		return nil, err
	}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("there are %d keys in it, at most %d are accepted", len(keys), maxKeys)
	}
	f := collect(keys, list)
	if len(f.keys) == 0 {
		return nil, fmt.Errorf("none of its %d keys can be used: %s", len(keys), summary(f.skipped))
	}
	return f, nil
}

func entries(content []byte, single bool) ([]jsontext.Value, error) {
	var doc document
	if err := json.Unmarshal(content, &doc); err != nil {
		return nil, errors.New("it cannot be read as a JWK set")
	}
	if single && doc.Keys == nil && doc.Type != nil {
		return []jsontext.Value{content}, nil
	}
	if doc.Keys.Kind() != '[' {
		return nil, errors.New(`it is no JWK set: {"keys": [...]} is needed`)
	}
	var keys []jsontext.Value
	if err := json.Unmarshal(doc.Keys, &keys); err != nil {
		return nil, errors.New("its keys cannot be read")
	}
	return keys, nil
}

// collect reads each entry for itself: one that is broken or meant for something else harms no other.
func collect(entries []jsontext.Value, list []string) *found {
	f := &found{keys: map[string]*key{}}
	ambiguous := map[string]bool{}
	for i, raw := range entries {
		var m members
		if raw.Kind() != '{' || json.Unmarshal(raw, &m) != nil {
			f.skipped = append(f.skipped, fmt.Sprintf("key %d: it is no object or has a member of the wrong type", i+1))
			continue
		}
		if m.exposed() {
			f.exposed = append(f.exposed, m.title(i))
		}
		k, err := m.key(list)
		if err != nil {
			f.skipped = append(f.skipped, m.title(i)+": "+err.Error())
			continue
		}
		if before := f.keys[*m.KeyID]; before != nil && !before.equal(k) {
			ambiguous[*m.KeyID] = true // and stays in the map, so that a third one is compared too
			continue
		}
		f.keys[*m.KeyID] = k
	}
	for kid := range ambiguous {
		delete(f.keys, kid)
		f.skipped = append(f.skipped, fmt.Sprintf("kid %q: different keys have it", safetext.Bound(kid, maxShownKid)))
	}
	return f
}
