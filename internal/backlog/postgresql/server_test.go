package postgresql_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/postgresqltest"
)

// TestServers runs what needs no server of its own, on each server.
func TestServers(t *testing.T) {
	t.Parallel()
	for _, version := range postgresqltest.Versions(t) {
		t.Run(version.Name, func(t *testing.T) {
			t.Parallel()
			server := postgresqltest.Start(t, version, "-c", "max_connections=200", "-c", "timezone=America/New_York")
			for name, test := range map[string]func(*testing.T, *postgresqltest.Server){
				"user queries":    userQueries,
				"slow queries":    slowQueries,
				"query wakes":     queryWakes,
				"time zones":      timesWithoutZone,
				"missing":         missing,
				"hostile names":   hostileNames,
				"encodings":       otherEncodings,
				"caps":            caps,
				"paused":          paused,
				"silent clients":  silentClients,
				"least rights":    leastRights,
				"hidden rows":     hiddenRows,
				"diagnosis":       diagnosis,
				"few connections": fewConnections,
				"early questions": earlyQuestions,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, server)
				})
			}
		})
	}
}
