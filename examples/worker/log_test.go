package main

import (
	"bytes"
	"sync"
)

// A processLog collects what a process writes.
type processLog struct {
	// mu guards text, which the process writes and the test reads.
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *processLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *processLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
