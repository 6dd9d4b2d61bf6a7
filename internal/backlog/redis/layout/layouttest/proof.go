package layouttest

import "encoding/json"

// A Column of the table in docs/frameworks.md is something that a reading says of a framework.
type Column string

// The columns, in the order of the table.
const (
	Waiting     Column = "waiting"
	Prioritised Column = "prioritised"
	Due         Column = "due"
	InFlight    Column = "in flight"
	Age         Column = "age"
	Paused      Column = "paused"
	WakeUp      Column = "wake-up"
)

// ProofKey is the attribute of a test that holds a Proof in JSON: "go test -json" has it as
// an event of the action "attr".
const ProofKey = "proof"

// A Proof is that a test saw a column hold for a version of a framework.
type Proof struct {
	Layout  string `json:"layout"`
	Version string `json:"version"`
	Column  Column `json:"column"`
	// Note names the jobs for which it holds; empty for all.
	Note string `json:"note,omitempty"`
}

// Prove notes what the test has just seen of the library that d drives, unless it failed.
func (d *Driver) Prove(all ...Column) { d.ProveOf("", all...) }

// ProveOf is prove for what holds of some jobs alone.
func (d *Driver) ProveOf(note string, all ...Column) {
	d.T.Helper()
	if d.Layout == "" {
		d.T.Fatal("a proof of a library that was not introduced")
	}
	if d.T.Failed() {
		return
	}
	for _, c := range all {
		data, err := json.Marshal(Proof{d.Layout, d.Version, c, note})
		if err != nil {
			d.T.Fatal(err)
		}
		d.T.Attr(ProofKey, string(data))
	}
}
