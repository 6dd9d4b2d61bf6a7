package redis_test

import "encoding/json"

// A column of the table in docs/frameworks.md is something that a reading says of a framework.
type column string

const (
	columnWaiting     column = "waiting"
	columnPrioritised column = "prioritised"
	columnDue         column = "due"
	columnInFlight    column = "in flight"
	columnAge         column = "age"
	columnPaused      column = "paused"
	columnWakeUp      column = "wake-up"
)

// ProofKey is the attribute of a test that holds a Proof in JSON: "go test -json" has it as
// an event of the action "attr".
const ProofKey = "proof"

// A Proof is that a test saw a column hold for a version of a framework.
type Proof struct {
	Layout  string `json:"layout"`
	Version string `json:"version"`
	Column  column `json:"column"`
	// Note names the jobs of which it holds; empty if of all.
	Note string `json:"note,omitempty"`
}

// prove notes what the test has just seen of the library that d drives, unless it failed.
func (d *driver) prove(all ...column) { d.proveOf("", all...) }

// proveOf is prove for what holds of some jobs alone.
func (d *driver) proveOf(note string, all ...column) {
	d.t.Helper()
	if d.layout == "" {
		d.t.Fatal("a proof of a library that was not introduced")
	}
	if d.t.Failed() {
		return
	}
	for _, c := range all {
		data, err := json.Marshal(Proof{d.layout, d.version, c, note})
		if err != nil {
			d.t.Fatal(err)
		}
		d.t.Attr(ProofKey, string(data))
	}
}
