// Package report says what a comparison of triggers measured, as a table and as a picture.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Push is a number of messages that are written at once.
type Push struct {
	// After is the time since the beginning.
	After    time.Duration `json:"after"`
	Messages int           `json:"messages"`
}

// A Comparison is one trace with what each contender made of it.
type Comparison struct {
	Trace []Push `json:"trace"`
	// Startup is the time from a pod's creation to its readiness, PerMessage how long one worker works on a message.
	Startup    time.Duration `json:"startup"`
	PerMessage time.Duration `json:"perMessage"`
	// Copies is how many Deployments each contender had, each with the whole trace.
	Copies     int         `json:"copies"`
	Contenders []Contender `json:"contenders"`
}

// A Contender is one way to scale. Its figures are over all of its Deployments.
type Contender struct {
	Name string `json:"name"`
	// Trigger is what it is in a ScaledObject, in one line.
	Trigger  string `json:"trigger"`
	Messages int    `json:"messages"`
	// P50, P99 and Longest are times from the write of a message until a worker took it.
	P50     time.Duration `json:"p50"`
	P99     time.Duration `json:"p99"`
	Longest time.Duration `json:"longest"`
	// ReplicaSeconds is the time integral of spec.replicas, and Peak its largest value, per Deployment.
	ReplicaSeconds float64 `json:"replicaSeconds"`
	Peak           int32   `json:"peak"`
	// Waiting and Replicas are the messages that waited and spec.replicas at each second, in the mean of its Deployments.
	Waiting  []float64 `json:"waiting"`
	Replicas []float64 `json:"replicas"`
	// Made has one for each of its Deployments. Without it the phases of KEDA's polls and of the HPA's syncs are not known.
	Made []Made `json:"made,omitempty"`
}

// Made is how long before the beginning of the trace a ScaledObject and the HPA that KEDA made of it were there. KEDA polls first
// when it sees the ScaledObject, and the HPA is synced for the first time a period after it is there.
type Made struct {
	ScaledObject time.Duration `json:"scaledObject"`
	HPA          time.Duration `json:"hpa"`
}

// Read reads a comparison from a file.
func Read(file string) (Comparison, error) {
	b, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return Comparison{}, fmt.Errorf("read comparison: %w", err)
	}
	var c Comparison
	if err := json.Unmarshal(b, &c); err != nil {
		return Comparison{}, fmt.Errorf("parse comparison %s: %w", file, err)
	}
	return c, nil
}

// Names of what Write writes into a folder, and of the document whose table it brings up to date there.
const (
	DataFile     = "comparison.json"
	PictureFile  = "comparison.svg"
	DocumentFile = "comparison.md"
)

// Write writes the data, the picture and the document's table.
func (c Comparison) Write(dir string) error {
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode comparison: %w", err)
	}
	document, err := os.ReadFile(filepath.Join(filepath.Clean(dir), DocumentFile))
	if err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	current, err := c.Document(string(document))
	if err != nil {
		return err
	}
	for name, contents := range map[string]string{DataFile: string(data) + "\n", PictureFile: c.SVG(), DocumentFile: current} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(contents), 0o600); err != nil {
			return fmt.Errorf("write comparison: %w", err)
		}
	}
	return nil
}

// What stands around the table in the document.
const (
	begin = "<!-- generated: comparison; make comparison -->\n"
	end   = "<!-- end of comparison -->\n"
)

// Document puts the table into a document, in the place of the one that is there.
func (c Comparison) Document(text string) (string, error) {
	before, rest, found := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("put the comparison into its document: there are no lines %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + c.Table() + "\n" + end + after, nil
}

// Table is in Markdown.
func (c Comparison) Table() string {
	var b strings.Builder
	messages := 0
	for _, p := range c.Trace {
		messages += p.Messages
	}
	fmt.Fprintf(&b, "%d messages within %s, %s of work each, pods ready after %s; each trigger with %d Deployments, all side by side.\n\n",
		messages, c.Trace[len(c.Trace)-1].After.Round(time.Second), c.PerMessage, c.Startup, c.Copies)
	b.WriteString("| trigger | a message waits, p50 | p99 | longest | replica-seconds | most replicas |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, k := range c.Contenders {
		fmt.Fprintf(&b, "| %s: `%s` | %.1f s | %.1f s | %.1f s | %.0f | %d |\n",
			k.Name, k.Trigger, k.P50.Seconds(), k.P99.Seconds(), k.Longest.Seconds(), k.ReplicaSeconds, k.Peak)
	}
	return b.String()
}
