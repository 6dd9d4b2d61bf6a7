package server

import "sync"

// The bounds of what texts remembers.
const (
	// maxTexts is how many there may be.
	maxTexts = 1000
	// maxTextLength is how long each may be, in bytes.
	maxTextLength = 100
)

// texts are those that many triggers have in common, such as the keys of metadata and
// the name of a connection. Each is held once.
type texts struct {
	// mu guards known.
	mu    sync.Mutex
	known map[string]string
}

// share returns metadata with the same texts, in a map of its own.
func (t *texts) share(metadata map[string]string) map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	shared := make(map[string]string, len(metadata))
	for key, value := range metadata {
		shared[t.one(key)] = t.one(value)
	}
	return shared
}

// one returns text as it is known. mu is held.
func (t *texts) one(text string) string {
	if known, ok := t.known[text]; ok {
		return known
	}
	if len(t.known) < maxTexts && len(text) <= maxTextLength {
		t.known[text] = text
	}
	return text
}

// forget begins anew, so that texts of triggers that are gone do not stand in the way
// of others.
func (t *texts) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.known)
}
