// Package policychecktest has policies with mistakes, for the tests of everything that has to find
// them: an API server, its own code without a server, and the check of files.
package policychecktest

import (
	"fmt"
	"strings"
)

// Whole is a policy with every field.
const Whole = `
apiVersion: backlog-scaler.github.io/v1alpha1
kind: AutoscalerPolicy
metadata: {name: billing}
spec:
  mode: Enforce
  via: KEDA
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: billing}
  minReplicas: 0
  maxReplicas: 100
  signals:
  - {name: backlog, connection: orders, trigger: {list: orders, target: "20"}, maxStaleness: 30s}
  - {name: latency, connection: metrics, trigger: {query: "max(latency_seconds)"}, whenUnknown: Ignore}
  - {name: booked, connection: calendar, trigger: {path: /v1/expected, value: $.jobs}, target: "40", interval: 1m, whenUnknown: Value, value: "0"}
  - {name: errors, connection: logs, trigger: {query: "level:error", window: 5m}}
  formula: 'max(need.backlog, need.booked) * (latency > 2 ? 1.5 : 1)'
  schedules:
  - {name: office, timeZone: Europe/Berlin, start: "0 7 * * 1-5", end: "0 20 * * 1-5", floor: 10, ramp: 15m}
  - {name: night, timeZone: Europe/Berlin, start: "0 22 * * *", duration: 8h, ceiling: 2}
  - {name: black-friday, from: "2026-11-27T00:00:00+01:00", until: "2026-11-30T00:00:00+01:00", exact: 40, priority: 10}
  limiters:
  - {name: database, when: latency > 3, until: latency < 1, action: Ceiling, ceiling: current * 0.8}
  - {name: failing, when: booked > 500, action: Freeze}
  steps:
    up: {first: 1, pods: 4, percent: 50, period: 30s, readyPercent: 100, stuckAfter: 10m}
    down: {pods: 2, percent: 10, period: 1m, hold: 5m}
  jump: FromZero
  busyPods: {from: HTTP, keep: Strict, giveUpAfter: 10m, http: {port: 8080, path: /busy}}
`

// Nothing is a policy without a signal and a schedule.
const Nothing = `
apiVersion: backlog-scaler.github.io/v1alpha1
kind: AutoscalerPolicy
metadata: {name: nothing}
spec: {via: KEDA, maxReplicas: 1, scaleTargetRef: {name: nothing}}
`

// A Mistake is one change of Whole that makes it wrong.
type Mistake struct {
	Name string
	// From is a text of Whole, and To what replaces it.
	From, To string
	// Server is a part of the answer of an API server.
	Server string
	// Check is a part of what the check of files says.
	Check string
}

// Policy returns Whole with the mistake.
func (m *Mistake) Policy() string {
	if !strings.Contains(Whole, m.From) {
		panic(fmt.Sprintf("%s: the policy has no %q", m.Name, m.From)) //nolint:forbidigo // a fault of a test
	}
	return strings.Replace(Whole, m.From, m.To, 1)
}

// Mistakes are those that an API server refuses in a new policy.
func Mistakes() []Mistake {
	return []Mistake{
		{"min above max", "minReplicas: 0", "minReplicas: 101", "minReplicas is more than maxReplicas", "9: minReplicas 101: want at most maxReplicas, 100"},
		{"no maximum", "maxReplicas: 100", "maxReplicas: 0", "maxReplicas", "10: maxReplicas 0: want 1 or more"},
		{"target is a policy", "kind: Deployment", "kind: ScaledObject", "name the workload", "8: scaleTargetRef.kind: name the workload, such as a Deployment"},
		{"unknown mode", "mode: Enforce", "mode: Off", "mode", `6: mode "Off": want text; write it in quotes: "Off"`},
		{"unknown mode in quotes", "mode: Enforce", "mode: Observes", "mode", `6: mode "Observes": want one of Enforce, Observe; did you mean Observe?`},
		{"unknown field", "minReplicas: 0", "minReplica: 0", "minReplica", "9: minReplica: unknown field; did you mean minReplicas?"},
		{"value without Value", "whenUnknown: Ignore", "whenUnknown: Ignore, value: \"1\"", "value goes with whenUnknown: Value", `13: signals[latency].value "1": want it with whenUnknown: Value, and only then`},
		{"Value without value", "whenUnknown: Ignore", "whenUnknown: Value", "value goes with whenUnknown: Value", `13: signals[latency].value "": want it with whenUnknown: Value`},
		{"two signals of one name", "name: errors", "name: backlog", "Duplicate value", "15: signals[backlog].name: an earlier item has the same name, want another"},
		{"name of a signal", "name: errors", "name: 1errors", "name", `15: signal "1errors": name "1errors": want up to 32 letters and digits, a letter first`},
		{"capital name of a signal", "name: errors", "name: Errors", "name", `15: signals[Errors].name "Errors": want text that matches`},
		{"target is no number", `target: "40"`, `target: many`, "target", `14: signals[booked].target "many": want more than 0`},
		{"target without quotes", `target: "40"`, `target: 40`, "target", `14: signals[booked].target 40: want text; write it in quotes: "40"`},
		{"interval too short", "interval: 1m", "interval: 10ms", "at least 1s", `14: signals[booked].interval "10ms": want 1s or more`},
		{"interval in days", "interval: 1m", "interval: 1d", "interval", `14: signals[booked].interval "1d": want a length of time such as 30s, 5m or 1h30m; write 24h`},
		{"signal without trigger", "trigger: {query: \"max(latency_seconds)\"}", "trigger: {}", "trigger", "13: signals[latency].trigger"},
		{"start and from", "duration: 8h", "duration: 8h, from: \"2026-11-27T00:00:00Z\"", "either start (recurring) or from (once)", `19: schedule "night": start and from: want start for a window that recurs`},
		{"end and duration", "duration: 8h", "duration: 8h, end: \"0 6 * * *\"", "start goes with end or duration", `19: schedule "night": end and duration: want one of them`},
		{"no zone", "{name: night, timeZone: Europe/Berlin,", "{name: night,", "needs a timeZone", `19: schedule "night": timeZone: missing`},
		{"local zone", "{name: night, timeZone: Europe/Berlin,", "{name: night, timeZone: Local,", "name a zone", `19: schedule "night": timeZone "Local"`},
		{"six fields of cron", `"0 22 * * *"`, `"0 0 22 * * *"`, "start", `19: schedule "night": start "0 0 22 * * *": 6 fields`},
		{"until before from", "until: \"2026-11-30", "until: \"2026-11-20", "from is not before until", `20: schedule "black-friday": until 2026-11-19T23:00:00Z: want a time after from`},
		{"until is no time", "until: \"2026-11-30T00:00:00+01:00\"", "until: \"2026-11-30\"", "until", `20: schedules[black-friday].until "2026-11-30": want a time such as`},
		{"exact and floor", "exact: 40", "exact: 40, floor: 1", "floor, ceiling or both, or exact", `20: schedule "black-friday": exact stands for floor and ceiling`},
		{"no bound", "exact: 40, priority", "priority", "floor, ceiling or both, or exact", `20: schedule "black-friday": floor: missing`},
		{"floor above ceiling", "ceiling: 2", "ceiling: 2, floor: 3", "floor is above ceiling", `19: schedule "night": floor 3: want at most the ceiling, 2`},
		{"window too long", "duration: 8h", "duration: 745h", "between 1m and 31 days", `19: schedules[night].duration "745h": want 0s to 744h`},
		{"ceiling with Freeze", "action: Freeze", "action: Freeze, ceiling: \"3\"", "ceiling goes with action: Ceiling", `23: limiter "failing": ceiling goes with action: Ceiling`},
		{"Ceiling without ceiling", "action: Ceiling, ceiling: current * 0.8", "action: Ceiling", "ceiling goes with action: Ceiling", "22: limiters[database].ceiling: missing, want a formula"},
		{"step of nothing", "pods: 2, percent: 10, ", "", "pods, percent or both", "26: steps.down: pods, percent or both"},
		{"step faster than HPA", "period: 30s", "period: 10s", "looks every 15 s", "24: steps: the HorizontalPodAutoscaler looks every 15 s"},
		{"HTTP without http", ", http: {port: 8080, path: /busy}", "", "http goes with from: HTTP", "28: busyPods.http: want a port and a path"},
		{"signal without Queue", "from: HTTP", "from: HTTP, signal: backlog", "signal goes with from: Queue", "28: busyPods.signal"},
		{"name of a busy signal", "from: HTTP, keep: Strict, giveUpAfter: 10m, http: {port: 8080, path: /busy}", "from: Queue, signal: 1backlog", "signal", "28: busyPods.signal"},
		{"no annotation", "from: HTTP, keep: Strict, giveUpAfter: 10m, http: {port: 8080, path: /busy}", "from: Annotation", "annotation goes with from: Annotation", "28: busyPods.annotation: missing"},
		{"path without a slash", "path: /busy", "path: busy", "path", "28: busyPods.http: want a port and a path"},
	}
}
