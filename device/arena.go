package device

import "strings"

// arena keeps short strings in large chunks, so that a million names are a few pointers to the garbage
// collector. What is replaced stays behind until the process ends: names never change, users rarely go.
type arena struct{ chunks [][]byte }

const arenaChunk = 1 << 20

// arenaRef says where a string lies. The zero ref is the empty string.
type arenaRef struct {
	chunk, offset uint32
	length        uint16
}

func (a *arena) add(s string) arenaRef {
	if s == "" {
		return arenaRef{}
	}
	last := len(a.chunks) - 1
	if last < 0 || len(a.chunks[last])+len(s) > arenaChunk {
		a.chunks = append(a.chunks, make([]byte, 0, arenaChunk))
		last++
	}
	ref := arenaRef{chunk: uint32(last), offset: uint32(len(a.chunks[last])), length: uint16(len(s))}
	a.chunks[last] = append(a.chunks[last], s...)
	return ref
}

func (a *arena) get(r arenaRef) string {
	if r.length == 0 {
		return ""
	}
	return string(a.chunks[r.chunk][r.offset : r.offset+uint32(r.length)])
}

// roleSets numbers the distinct lists of roles: users are many, their combinations of roles few.
type roleSets struct {
	numbers map[string]uint32
	sets    [][]string
}

func (s *roleSets) intern(roles []string) uint32 {
	key := strings.Join(roles, ",")
	if n, ok := s.numbers[key]; ok {
		return n
	}
	if s.numbers == nil {
		s.numbers = map[string]uint32{}
	}
	n := uint32(len(s.sets))
	s.numbers[key] = n
	s.sets = append(s.sets, roles)
	return n
}

func (s *roleSets) get(n uint32) []string { return s.sets[n] }
