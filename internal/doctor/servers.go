package doctor

import (
	"slices"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// serverChecks are about the servers that the scaler reads. They rest on what a running scaler has asked
// its servers: the doctor connects to none.
func serverChecks() []Check {
	return []Check{
		{
			Code: "R501", Title: "A server that deletes queues when its memory is full", Severity: Warning, needs: []need{needScaler},
			Why:      "With a maxmemory-policy other than noeviction Redis makes room by deleting keys. A queue is a key, so its messages are gone, and the scaler reads an empty queue. A lock is one too, so a job that is worked on is done twice.",
			Change:   "Set maxmemory-policy noeviction, and keep caches on another server.",
			Evidence: []string{"taskforcesh/bullmq#2215", "taskforcesh/bullmq#1046", "rq/rq#1280"},
			find:     checkRisks(unknownRisk, "eviction"),
		},
		{
			Code: "R502", Title: "A server near a limit", Severity: Warning, needs: []need{needScaler},
			Why:    "Beyond tracking-table-max-keys Redis reports changes of queues that did not change, so the scaler falls back to polling. Beyond maxclients it takes no connections: neither those of the scaler nor those of workers.",
			Change: "Raise the setting that the message names.",
			find:   checkRisks("tracking", "clients"),
		},
	}
}

// unknownRisk is the kind of a server that has not said whether it deletes queues.
const unknownRisk = "unknown"

// checkRisks returns a check for risks of some kinds.
func checkRisks(kinds ...string) func(v *view, found *findings) {
	return func(v *view, found *findings) {
		if v.Scaler.Unlisted != "" {
			found.skip(v.Scaler.Unlisted)
		}
		for _, c := range v.Scaler.Connections {
			for _, risk := range c.Risks {
				severity := Warning
				if risk.Latent {
					severity = Info
				}
				switch {
				case !slices.Contains(kinds, risk.Kind):
				case risk.Kind == unknownRisk:
					found.skip("connection " + c.Name + ": " + risk.Text)
				default:
					found.addAs(severity, object.Named(object.Connections, "", c.Name), "", "", "%s", risk.Text)
				}
			}
		}
	}
}
