package redis

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// An identity is what a server tells of itself.
type identity struct {
	// name is "redis" or "valkey", version such as "7.0.15"; empty if it would not tell.
	name, version string
	// runID is the server's own name for this run of it; empty if it is not known.
	runID string
	// epoch changes when the server was restarted or is another one.
	epoch string
	// lag is how far its lag of consumer groups can be trusted.
	lag lagSupport
}

// lagSupport is how far a server's own "lag" of a consumer group can be trusted.
type lagSupport uint8

const (
	// lagAbsent is a server before Redis 7.0, which does not tell the lag.
	lagAbsent lagSupport = iota
	// lagTooHigh is a server whose lag can be too high after deletions: Redis before
	// 7.4.4 (redis#13338, redis#13957) and Valkey before 9 (valkey#1951).
	lagTooHigh
	// lagExact is a server whose lag is right whenever it is there.
	lagExact
)

// newIdentity reads INFO server.
func newIdentity(info string) identity {
	id := identity{name: "redis", version: field(info, "redis_version"), runID: field(info, "run_id")}
	id.epoch = id.runID
	if version := field(info, "valkey_version"); version != "" {
		id.name, id.version = "valkey", version
	}
	if id.version == "" {
		// It is no answer of Redis or Valkey.
		return unknownIdentity()
	}
	if id.epoch == "" {
		id.epoch = rand.Text()
	}
	switch {
	case id.name == "valkey" && atLeast(id.version, 9), id.name == "redis" && atLeast(id.version, 7, 4, 4):
		id.lag = lagExact
	case id.name == "valkey", atLeast(id.version, 7):
		id.lag = lagTooHigh
	}
	return id
}

// unknownIdentity is that of a server which does not answer INFO: nothing it says
// can be taken to continue what was said before.
func unknownIdentity() identity { return identity{epoch: rand.Text(), lag: lagTooHigh} }

// isSame reports whether both are known to be the same server, in the same run.
func (id identity) isSame(other identity) bool { return id.runID != "" && id.runID == other.runID }

func (id identity) String() string { return strings.TrimSpace(id.name + " " + id.version) }

// title is the server at the start of a sentence: "Redis 6.0.14".
func (id identity) title() string {
	text := id.String()
	return strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):]
}

// field returns the value of a line "name:value" of an INFO text.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if key, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); found && key == name {
			return value
		}
	}
	return ""
}

// atLeast tells whether version, such as "7.4.1", is want or later.
func atLeast(version string, want ...int) bool {
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
