package page

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// A timeline is what the windows of a policy do in the days to come.
type timeline struct {
	Width, Height float64
	// Zone is that of the times.
	Zone string
	// Windows are the rows of the windows, and Bounds the curves of floor and ceiling.
	Windows []windowRow
	Bounds  []curve
	Scale   []mark
	Days    []mark
	// Changes are changes of the clock on the wall.
	Changes []mark
	Now     float64
	Bottom  float64
	// Left and Right are the ends of the bounds.
	Left, Right float64
	Top         float64
	// Edges are the changes of the bounds, for the table.
	Edges []edge
	// Truncated reports that there are more edges.
	Truncated bool
}

// A windowRow is one window.
type windowRow struct {
	Name   string
	Y      float64
	Middle float64
	Bars   []bar
}

// An edge is a moment at which bounds change.
type edge struct {
	At             time.Time
	Shown          string
	Floor, Ceiling string
	Open           string
}

const (
	timelineDays = 7
	timelineLeft = 130
	timelineTop  = 26
	boundsHeight = 110
	windowHeight = 26
	// maxEdges bounds the table below the timeline.
	maxEdges = 60
)

// timelineOf returns the timeline of the schedules of a policy; nil if it has none.
func timelineOf(spec *policy.Spec, now time.Time) *timeline {
	parsed, err := schedule.Parse(spec.Schedules)
	if err != nil || parsed.Empty() {
		return nil
	}
	zone := zoneOf(spec.Schedules)
	end := now.AddDate(0, 0, timelineDays)
	preview := parsed.Preview(now, end)
	t := &timeline{Width: pictureWidth, Zone: zone.String(), Left: timelineLeft, Right: pictureWidth - 40, Top: timelineTop, Now: timelineLeft}
	x := func(at time.Time) float64 {
		share := float64(at.Sub(now)) / float64(end.Sub(now))
		return timelineLeft + min(max(share, 0), 1)*(t.Right-timelineLeft)
	}
	t.bounds(spec, &preview, x)
	t.windows(spec, &preview, x)
	t.days(now.In(zone), end, x)
	for _, c := range preview.ClockChanges {
		text := "clock back"
		if c.After > c.Before {
			text = "clock forward"
		}
		t.Changes = append(t.Changes, mark{At: x(c.At), Text: text})
	}
	t.edges(&preview, zone)
	return t
}

// zoneOf returns the zone of the first recurring window, else UTC.
func zoneOf(specs []schedule.Spec) *time.Location {
	for i := range specs {
		if zone, err := time.LoadLocation(specs[i].TimeZone); err == nil && specs[i].TimeZone != "" {
			return zone
		}
	}
	return time.UTC
}

// bounds draws the floor from below and the ceiling from above.
func (t *timeline) bounds(spec *policy.Spec, p *schedule.Preview, x func(time.Time) float64) {
	top := int32(1)
	for _, c := range p.Changes {
		top = max(top, c.Floor.Replicas, c.Ceiling.Replicas)
	}
	// Where no window has a ceiling, that of the policy counts. It is shown at the edge if it is far
	// above everything else.
	top = min(spec.MaxReplicas, max(top, spec.MinReplicas)*5/4+1)
	bottom := float64(timelineTop + boundsHeight)
	y := func(replicas int32) float64 {
		return bottom - float64(min(replicas, top))/float64(max(top, 1))*(boundsHeight-4)
	}
	floor, ceiling := area{base: bottom}, area{base: timelineTop}
	for _, c := range p.Changes {
		low, high := spec.MinReplicas, spec.MaxReplicas
		if c.Floor.Set() {
			low = max(low, c.Floor.Replicas)
		}
		if c.Ceiling.Set() {
			high = min(high, c.Ceiling.Replicas)
		}
		floor.add(x(c.At), y(low))
		ceiling.add(x(c.At), y(high))
	}
	t.Bounds = []curve{
		{Name: "floor", Class: "area-floor", Path: floor.end(t.Right)},
		{Name: "ceiling", Class: "area-ceiling", Path: ceiling.end(t.Right)},
	}
	for _, n := range []int32{0, top} {
		t.Scale = append(t.Scale, mark{At: y(n), Text: strconv.Itoa(int(n))})
	}
	t.Bottom = bottom
}

// An area is a path of steps down, or up, to a base.
type area struct {
	base float64
	path strings.Builder
}

func (a *area) add(x, y float64) {
	if a.path.Len() == 0 {
		a.path.WriteString("M" + coord(x) + " " + coord(a.base))
	}
	a.path.WriteString("H" + coord(x) + "V" + coord(y))
}

func (a *area) end(right float64) string {
	if a.path.Len() == 0 {
		return ""
	}
	return a.path.String() + "H" + coord(right) + "V" + coord(a.base) + "Z"
}

// windows adds a row for each window.
func (t *timeline) windows(spec *policy.Spec, p *schedule.Preview, x func(time.Time) float64) {
	for i := range spec.Schedules {
		row := windowRow{Name: spec.Schedules[i].Name, Y: t.Bottom + 30 + float64(i)*windowHeight}
		row.Middle = row.Y + 8
		for _, o := range p.Occurrences {
			if o.Window != row.Name {
				continue
			}
			right := t.Right
			if !o.End.IsZero() {
				right = x(o.End)
			}
			row.Bars = append(row.Bars, bar{X: x(o.Start), Y: row.Y, Width: max(right-x(o.Start), 1.5), Height: 16, Class: "window", Name: o.Window})
		}
		t.Windows = append(t.Windows, row)
	}
	t.Height = t.Bottom + 30 + float64(len(t.Windows))*windowHeight + 8
}

// days marks the beginnings of days.
func (t *timeline) days(now, end time.Time, x func(time.Time) float64) {
	year, month, day := now.Date()
	for i := range timelineDays + 1 {
		at := time.Date(year, month, day+i, 0, 0, 0, 0, now.Location())
		if at.After(now) && at.Before(end) {
			t.Days = append(t.Days, mark{At: x(at), Text: at.Format("Mon 2")})
		}
	}
}

// edges adds the changes of bounds. The steps of one ramp are one row.
func (t *timeline) edges(p *schedule.Preview, zone *time.Location) {
	t.Truncated = p.Truncated
	for i, c := range p.Changes {
		if i > 0 && c.Floor.Ramping && p.Changes[i-1].Floor.Ramping && c.Floor.Window == p.Changes[i-1].Floor.Window && slices.Equal(c.Open, p.Changes[i-1].Open) {
			t.Edges[len(t.Edges)-1].Floor = firstOf(t.Edges[len(t.Edges)-1].Floor) + " to " + boundText(c.Floor)
			continue
		}
		if len(t.Edges) == maxEdges {
			t.Truncated = true
			return
		}
		e := edge{At: c.At, Shown: c.At.In(zone).Format("Mon 2 Jan 15:04"), Floor: boundText(c.Floor), Ceiling: boundText(c.Ceiling), Open: strings.Join(c.Open, ", ")}
		if c.Floor.Ramping {
			e.Open = strings.TrimPrefix(e.Open+", "+c.Floor.Window+" soon", ", ")
		}
		if c.Conflict {
			e.Open += " (the floor is above the ceiling, which counts)"
		}
		if e.Open == "" {
			e.Open = "none"
		}
		t.Edges = append(t.Edges, e)
	}
}

func firstOf(text string) string {
	first, _, _ := strings.Cut(text, " to ")
	return first
}

func boundText(b schedule.Bound) string {
	if !b.Set() {
		return "–"
	}
	return strconv.Itoa(int(b.Replicas))
}
