package activity

import "github.com/google/uuid"

// NewID returns an id for an event that is to be found again (Amend): set it before Commit. The zero id,
// where there is no randomness, leaves the choice to Commit.
func (l *Log) NewID() uuid.UUID {
	id, err := l.ids.next()
	if err != nil {
		return uuid.UUID{}
	}
	return id
}
