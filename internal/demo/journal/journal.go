// Package journal collects the events of the demo for its display.
package journal

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// maxEntries is how many entries are kept.
const maxEntries = 1000

// An Entry is one event.
type Entry struct {
	At time.Time
	// Subject is a workload, or a part of the demo.
	Subject string
	// Text describes the event, on one line.
	Text string
}

// A Journal takes entries from many goroutines.
type Journal struct {
	// mu guards both: every part adds, the screen reads.
	mu      sync.Mutex
	entries []Entry
	// dropped is how many entries were forgotten.
	dropped int
}

// New returns an empty Journal.
func New() *Journal { return &Journal{} }

// Add adds an entry about subject, with the present time.
func (j *Journal) Add(subject, text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, Entry{At: time.Now(), Subject: subject, Text: text})
	if over := len(j.entries) - maxEntries; over > 0 {
		j.entries = j.entries[over:]
		j.dropped += over
	}
}

// Since returns the entries from number first on, and the number of the next one. The first
// entry of all has number 0.
func (j *Journal) Since(first int) (entries []Entry, next int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	next = j.dropped + len(j.entries)
	from := min(max(first-j.dropped, 0), len(j.entries))
	return append([]Entry(nil), j.entries[from:]...), next
}

// Last returns the last entries, at most n of them.
func (j *Journal) Last(n int) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Entry(nil), j.entries[max(0, len(j.entries)-n):]...)
}

// Writer returns a writer of lines, and makes an entry about subject of each.
// It suits a logger, which writes whole lines.
func (j *Journal) Writer(subject string) io.Writer { return writer{j, subject} }

type writer struct {
	journal *Journal
	subject string
}

// Write adds one entry.
func (w writer) Write(p []byte) (int, error) {
	w.journal.Add(w.subject, string(bytes.TrimSpace(p)))
	return len(p), nil
}
