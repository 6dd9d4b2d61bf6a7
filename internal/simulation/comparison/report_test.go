package comparison_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/comparison"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

var update = flag.Bool("update", false, "write the reports of testdata again")

// evil is the name of a candidate that is made of markup and of control characters.
const evil = "</title><script>alert(1)</script>\x1b[31m\u202e"

// newReport simulates candidates of the target and of others.
func newReport(t *testing.T, targets []int, seeds int) *comparison.Report {
	t.Helper()
	read, err := trace.Read(strings.NewReader("time,arrivals,over\n5,0,0\n10,60,10\n2m,200,30\n4m,0,0\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := &comparison.Report{
		Version: "v1.2.3", Digest: "sha256:0123456789ab", Trace: read, Seeds: seeds, Notes: []string{"emails: a note\x07"},
		Workers: &simulation.Workers{
			Service: simulation.LogNormal(500*time.Millisecond, 2*time.Second), Startup: simulation.Fixed(4 * time.Second),
			Cold: simulation.Fixed(time.Minute), ColdShare: 0.1, WarmUp: 20 * time.Second, Concurrency: 2, Grace: 30 * time.Second,
		},
		Options: simulation.Options{Goal: 20 * time.Second, MostAfter: simulation.DefaultMostAfter},
	}
	reader := candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
	var candidates []simulation.Candidate
	for _, target := range targets {
		found, err := reader.Read(fmt.Sprintf("target %d", target), fmt.Appendf(nil, `kind: ScaledObject
spec:
  cooldownPeriod: 30
  maxReplicaCount: 20
  triggers: [{type: external-push, metadata: {connection: main, list: jobs, inFlightList: held, target: "%d"}}]
`, target))
		if err != nil {
			t.Fatal(err)
		}
		candidates = append(candidates, found[0].Candidate)
		if like := candidate.BuiltIn(&found[0]); target == targets[0] {
			candidates = append(candidates, *like)
		}
	}
	candidates[len(candidates)-1].Name = evil
	r.Results = simulation.Compare(candidates, r.Workers, read, seeds, r.Options)
	r.Varied = simulation.CompareVaried(candidates, r.Workers, read, seeds, r.Options)
	return r
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*comparison.Report, io.Writer) error{
		"report.txt": (*comparison.Report).Text, "report.json": (*comparison.Report).JSON,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := write(newReport(t, []int{5, 20}, 20), &b); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.Bytes())
		})
	}
}

// golden compares an output with a file of testdata, or writes it there.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile("testdata/"+name, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestPage: the page of as many candidates as there may be is small, needs nothing from elsewhere, runs
// nothing, shows names as they are, and is the same each time.
func TestPage(t *testing.T) {
	t.Parallel()
	render := func() string {
		var b bytes.Buffer
		r := newReport(t, []int{2, 3, 5, 8, 12, 20, 30}, 20)
		r.Tried = []comparison.Tried{{Settings: "target 3", Cost: 900, Wait: 12 * time.Second}, {Settings: evil, Cost: 1200, Wait: 3 * time.Second}}
		r.Trace.Seen = []trace.Seen{{Ready: 4, Replicas: -1}, {At: 100 * time.Second, Ready: 90, Replicas: 3}, {At: 101 * time.Second, Ready: 20, Replicas: 2}}
		if err := r.HTML(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	page := render()
	if again := render(); again != page {
		t.Error("the page differs from one time to the next")
	}
	if size := len(page); size > 500_000 {
		t.Errorf("the page has %d bytes, want fewer than 500,000", size)
	}
	for _, banned := range []string{"<script", "http://", "https://", "url(", "@import", "onload", "javascript:"} {
		if strings.Contains(page, banned) {
			t.Errorf("the page has %q", banned)
		}
	}
	for _, wanted := range []string{
		`content="default-src 'none'; style-src 'unsafe-inline'"`, `lang="en"`, "prefers-color-scheme:dark", "&lt;/title&gt;&lt;script&gt;",
		`scope="col"`, `scope="row"`, "seeds 1 to 20", "sha256:0123456789ab", "v1.2.3",
	} {
		if !strings.Contains(page, wanted) {
			t.Errorf("the page does not have %q", wanted)
		}
	}
	pictures := strings.Split(page, "<svg ")[1:]
	if len(pictures) != 9 {
		t.Errorf("%d charts, want 9", len(pictures))
	}
	if lines, bars := strings.Count(page, `<polyline class="seen"`), strings.Count(page, "<rect "); lines != 2 || bars != 2*5*8 {
		t.Errorf("%d lines of what was seen, want 2, and %d bars, want 80", lines, bars)
	}
	for i, picture := range pictures {
		text, _, found := strings.Cut(picture, "</svg>")
		if !found || !strings.Contains(text, "aria-label=") || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("chart %d has no end, no label, or what is no number", i)
		}
		decoder := xml.NewDecoder(strings.NewReader("<svg " + text + "</svg>"))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("chart %d: %v", i, err)
			}
		}
	}
}
