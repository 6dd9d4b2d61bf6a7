package connlimit

import (
	"maps"
	"sync"
	"time"
)

// maxFlooders bounds the remembered addresses of clients that have to wait.
const maxFlooders = 1000

// flooders are the clients with a connection that was recently closed at a limit.
type flooders struct {
	// mu guards until, by the address of the client. It is a leaf.
	mu    sync.Mutex
	until map[string]time.Time
}

// add makes the next connection of a client wait for floodPause.
func (f *flooders) add(client string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.until == nil {
		f.until = map[string]time.Time{}
	}
	if len(f.until) >= maxFlooders {
		maps.DeleteFunc(f.until, func(_ string, until time.Time) bool { return !until.After(now) })
	}
	if len(f.until) < maxFlooders {
		f.until[client] = now.Add(floodPause)
	}
}

// pause returns how long a new connection of a client has to wait; zero or less if it need not.
func (f *flooders) pause(client string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	until, floods := f.until[client]
	if !floods {
		return 0
	}
	if !until.After(now) {
		delete(f.until, client)
	}
	return until.Sub(now)
}
