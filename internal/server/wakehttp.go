package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// The requests to wake queues of one connection: each compares the names of all its queues.
const (
	wakesPerSecond = 50
	wakeBurst      = 100
)

// wakeLimits are the limits of requests, by connection. It is safe for concurrent use.
type wakeLimits struct {
	mu     sync.Mutex
	limits map[string]*rate.Limiter
	// catalog is the one whose connections have limits.
	catalog *trigger.Catalog
}

// allow reports whether one more request for a connection is taken.
func (l *wakeLimits) allow(catalog *trigger.Catalog, connection string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.catalog != catalog {
		l.catalog, l.limits = catalog, make(map[string]*rate.Limiter)
	}
	limit := l.limits[connection]
	if limit == nil {
		limit = rate.NewLimiter(wakesPerSecond, wakeBurst)
		l.limits[connection] = limit
	}
	return limit.Allow()
}

// WakeHandler serves POST /wake/{connection}/{queue}: a producer says that a queue may have work, and
// the scaler reads it again at once. It is for systems that notify of nothing. A request carries no
// number, so a wrong one costs a read. The bearer token is the connection's own; without one the
// connection takes no requests, and a client without the token learns of no connection.
func (s *Server) WakeHandler() http.Handler {
	limits := &wakeLimits{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, queue := r.PathValue("connection"), r.PathValue("queue")
		catalog := s.generation.Load().catalog
		if !authorized(r, catalog, name) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "want the wakeToken of the connection, as a bearer token", http.StatusUnauthorized)
			return
		}
		if !limits.allow(catalog, name) {
			s.CountRejection("wakes")
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests for this connection", http.StatusTooManyRequests)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		// An error means that the client went away.
		_ = json.NewEncoder(w).Encode(map[string]int{"queries": s.observer.Wake(name, queue)})
	})
}

// authorized reports whether a request has the token of a connection. The time that it takes does
// not depend on the token.
func authorized(r *http.Request, catalog *trigger.Catalog, connection string) bool {
	token := catalog.WakeToken(connection)
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	want, got := sha256.Sum256([]byte(token.Reveal())), sha256.Sum256([]byte(strings.TrimSpace(given)))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && token.IsSet() && strings.EqualFold(scheme, "Bearer")
}
