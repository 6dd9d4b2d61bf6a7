package main

import "sync"

// maxLater bounds the lines that are kept.
const maxLater = 100

// later keeps lines until the screen is free.
type later struct {
	mu    sync.Mutex // guards lines
	lines []string
}

// add keeps a line, unless there are many.
func (l *later) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) < maxLater {
		l.lines = append(l.lines, line)
	}
}

// print passes on the lines.
func (l *later) print(note func(string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		note(line)
	}
}
