package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/e2e/report"
)

// docs is where the comparison is kept that the documentation shows.
const docs = "../../docs"

func example() report.Comparison {
	return report.Comparison{
		Trace:   []report.Push{{After: time.Second, Messages: 2}, {After: 3 * time.Second, Messages: 3}},
		Startup: time.Second, PerMessage: 500 * time.Millisecond, Copies: 2,
		Contenders: []report.Contender{
			{
				Name: "a & b", Trigger: "target: 5", Messages: 10, P50: 1500 * time.Millisecond, P99: 2 * time.Second, Longest: 3 * time.Second,
				ReplicaSeconds: 12.4, Peak: 4, Waiting: []float64{0, 2, 7.5}, Replicas: []float64{0, 1, 4},
				Made: []report.Made{{ScaledObject: 3 * time.Second, HPA: 2900 * time.Millisecond}},
			},
			{Name: "none"},
		},
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	want := "5 messages within 3s, 500ms of work each, pods ready after 1s; each trigger with 2 Deployments, all side by side.\n" + `
| trigger | a message waits, p50 | p99 | longest | replica-seconds | most replicas |
| --- | --- | --- | --- | --- | --- |
` + "| a & b: `target: 5` | 1.5 s | 2.0 s | 3.0 s | 12 | 4 |\n| none: `` | 0.0 s | 0.0 s | 0.0 s | 0 | 0 |\n"
	if diff := cmp.Diff(want, example().Table()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestSVG(t *testing.T) {
	t.Parallel()
	picture := example().SVG()
	decoder := xml.NewDecoder(strings.NewReader(picture))
	elements := map[string]int{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the picture is no XML: %v\n%s", err, picture)
		}
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
		}
	}
	if got, want := elements["polyline"], 4; got != want {
		t.Errorf("there are %d lines, want %d: two of each contender", got, want)
	}
	// At the last of three seconds, 7.5 of at most 8 messages, and 4 of at most 4 replicas.
	for _, point := range []string{"880.0,63.4", "880.0,325.0"} {
		if !strings.Contains(picture, point) {
			t.Errorf("the picture does not hold the point %s:\n%s", point, picture)
		}
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	if _, err := example().Document("nothing"); err == nil {
		t.Error("a document without a place for it was taken")
	}
	const before, after = "# Title\n<!-- generated: comparison; make comparison -->\n", "<!-- end of comparison -->\nrest\n"
	got, err := example().Document(before + "old\n" + after)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before+"\n"+example().Table()+"\n"+after, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

// TestDocsAreOfOneRun: table and picture show the data next to them.
func TestDocsAreOfOneRun(t *testing.T) {
	t.Parallel()
	c, err := report.Read(filepath.Join(docs, report.DataFile))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	document, err := os.ReadFile(filepath.Join(docs, report.DocumentFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, report.DocumentFile), document, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{report.DataFile, report.PictureFile, report.DocumentFile} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("docs/%s (-want +got):\n%s", name, diff)
		}
	}
}
