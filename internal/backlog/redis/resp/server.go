package resp

import (
	"strconv"
	"strings"
)

// An Server is a server, as its answer to INFO server describes it.
type Server struct {
	// Name is "redis" or "valkey", version such as "7.0.15"; empty if they are not known.
	Name, Version string
	// RunID is the server's own name for this run of it; empty if it is not known.
	RunID string
	// Epoch changes when the server was restarted or is another one.
	Epoch string
	// Lag is how far its lag of consumer groups can be trusted.
	Lag LagSupport
}

// LagSupport is how far a server's own "lag" of a consumer group can be trusted.
type LagSupport uint8

const (
	// LagAbsent is a server before Redis 7.0, which does not report the lag.
	LagAbsent LagSupport = iota
	// LagTooHigh is a server whose lag can be too high after deletions: Redis before
	// 7.4.4 (redis#13338, redis#13957) and Valkey before 9 (valkey#1951).
	LagTooHigh
	// LagExact is a server whose lag is right whenever it is there.
	LagExact
)

// ParseServer reads an answer to INFO server. It reports false if the answer is not one of
// Redis or Valkey. The epoch is empty if the server does not name its run.
func ParseServer(info string) (s Server, known bool) {
	s = Server{Name: "redis", Version: InfoField(info, "redis_version"), RunID: InfoField(info, "run_id")}
	s.Epoch = s.RunID
	if version := InfoField(info, "valkey_version"); version != "" {
		s.Name, s.Version = "valkey", version
	}
	if s.Version == "" {
		return Server{}, false
	}
	switch {
	case s.Name == "valkey" && AtLeast(s.Version, 9), s.Name == "redis" && AtLeast(s.Version, 7, 4, 4):
		s.Lag = LagExact
	case s.Name == "valkey", AtLeast(s.Version, 7):
		s.Lag = LagTooHigh
	}
	return s, true
}

// IsSame reports whether both are known to be the same server, in the same run.
func (s Server) IsSame(other Server) bool { return s.RunID != "" && s.RunID == other.RunID }

// String returns name and version: "redis 6.0.14".
func (s Server) String() string { return strings.TrimSpace(s.Name + " " + s.Version) }

// Title returns name and version at the start of a sentence: "Redis 6.0.14".
func (s Server) Title() string {
	text := s.String()
	return strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):]
}

// IsTooOld reports whether the server is Redis before 6.0, the oldest version that is read.
func (s Server) IsTooOld() bool { return s.Name == "redis" && !AtLeast(s.Version, 6) }

// InfoField returns the value of a line "name:value" of an answer to INFO; "" if there is none.
func InfoField(info, name string) string {
	for line := range strings.Lines(info) {
		if key, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); found && key == name {
			return value
		}
	}
	return ""
}

// AtLeast reports whether version, such as "7.4.1", is want or later.
func AtLeast(version string, want ...int) bool {
	parts := strings.Split(version, ".")
	for i, minimum := range want {
		part := 0
		if i < len(parts) {
			part, _ = strconv.Atoi(parts[i])
		}
		if part != minimum {
			return part > minimum
		}
	}
	return true
}
