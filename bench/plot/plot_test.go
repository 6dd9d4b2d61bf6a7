package plot_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/bench/plot"
)

// TestSVG wants a document that is well formed, with a mark for each point within the frame.
func TestSVG(t *testing.T) {
	t.Parallel()
	p := plot.Plot{Title: "Memory & time <idle>", X: "ScaledObjects", Y: "MB", Curves: []plot.Curve{
		{Name: "measured", Points: [][2]float64{{100, 0.4}, {1000, 3}, {50_000, 1200}}},
		{Name: "linear", Points: [][2]float64{{100, 2.4}, {50_000, 1200}}, Dashed: true},
	}}
	document := p.SVG()
	circles, lines := 0, 0
	decoder := xml.NewDecoder(strings.NewReader(document))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if start, ok := token.(xml.StartElement); ok {
			switch start.Name.Local {
			case "circle":
				circles++
			case "polyline":
				lines++
			}
		}
	}
	if circles != 3 || lines != 2 {
		t.Errorf("%d marks and %d lines, want 3 and 2", circles, lines)
	}
	// The axes go from 0.1 to 10,000 and from 100 to 100,000: 1,000 is a third of the
	// way, and 3 is 1.48 of 5 decades up.
	if want := `<circle cx="211.3" cy="231.6" r="3"`; !strings.Contains(document, want) {
		t.Errorf("no %s in\n%s", want, document)
	}
	if again := p.SVG(); again != document {
		t.Error("the same plot is another text")
	}
}
