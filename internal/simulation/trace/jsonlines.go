package trace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// A jsonHeader is the first line.
type jsonHeader struct {
	Format     string         `json:"format"`
	Start      *time.Time     `json:"start,omitempty"`
	End        float64        `json:"end"`
	Unit       string         `json:"unit,omitempty"`
	Source     string         `json:"source,omitempty"`
	Resolution float64        `json:"resolution"`
	Arrivals   Quality        `json:"arrivals"`
	Service    ServiceQuality `json:"service"`
}

// A jsonLine is each of the others. Times are in seconds.
type jsonLine struct {
	T       float64   `json:"t"`
	Arrive  int64     `json:"arrive,omitempty"`
	Over    *float64  `json:"over,omitempty"`
	Work    float64   `json:"work,omitempty"`
	Service []float64 `json:"service,omitempty"`
	Seen    *jsonSeen `json:"seen,omitempty"`
}

type jsonSeen struct {
	Ready         *int64   `json:"ready,omitempty"`
	InFlight      *int64   `json:"inFlight,omitempty"`
	Replicas      *int64   `json:"replicas,omitempty"`
	ReadyReplicas *int64   `json:"readyReplicas,omitempty"`
	Value         *float64 `json:"reported,omitempty"`
}

// readLines reads JSON lines.
func readLines(r io.Reader, t *Trace) error {
	first := true
	return lines(r, func(_ int, line []byte) error {
		if first {
			first = false
			return t.readHeader(line)
		}
		return t.readLine(line)
	})
}

// decode decodes a line without unknown keys.
func decode(line []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("parse JSON: %w", err)
	}
	return nil
}

func (t *Trace) readHeader(line []byte) error {
	var h jsonHeader
	if err := decode(line, &h); err != nil {
		return err
	}
	if h.Format != Format {
		return fmt.Errorf("format %q: want %q", h.Format, Format)
	}
	t.Header = Header{Unit: h.Unit, Source: h.Source, Quality: h.Arrivals, ServiceQuality: h.Service}
	if h.Start != nil {
		t.Start = h.Start.UTC()
	}
	switch h.Arrivals {
	case Exact, LowerBound, Reconstructed:
	case "":
		t.Quality = Exact
	default:
		return fmt.Errorf("arrivals %q: want %q, %q or %q", h.Arrivals, Exact, LowerBound, Reconstructed)
	}
	switch h.Service {
	case Measured, Assumed:
	case "":
		t.ServiceQuality = Assumed
	default:
		return fmt.Errorf("service %q: want %q or %q", h.Service, Measured, Assumed)
	}
	var err error
	if t.End, err = seconds("end", h.End); err != nil {
		return err
	}
	t.Resolution, err = seconds("resolution", h.Resolution)
	return err
}

func (t *Trace) readLine(line []byte) error {
	var l jsonLine
	if err := decode(line, &l); err != nil {
		return err
	}
	at, err := seconds("t", l.T)
	if err != nil {
		return err
	}
	if l.Arrive != 0 {
		a := Arrival{At: at, Over: t.Resolution, Count: l.Arrive}
		if l.Over != nil {
			if a.Over, err = seconds("over", *l.Over); err != nil {
				return err
			}
		}
		if a.Work, err = seconds("work", l.Work); err != nil {
			return err
		}
		if err := t.arrive(a); err != nil {
			return err
		}
	}
	for _, s := range l.Service {
		d, err := seconds("service", s)
		if err != nil {
			return err
		}
		if len(t.Service) < maxService {
			t.Service = append(t.Service, d)
		}
	}
	if l.Seen != nil {
		t.Seen = append(t.Seen, l.Seen.plain(at))
	}
	return nil
}

func (s *jsonSeen) plain(at time.Duration) Seen {
	or := func(n *int64) int64 {
		if n == nil || *n < 0 {
			return -1
		}
		return *n
	}
	seen := Seen{At: at, Ready: or(s.Ready), InFlight: or(s.InFlight), Replicas: or(s.Replicas), ReadyReplicas: or(s.ReadyReplicas), Value: -1}
	if s.Value != nil {
		seen.Value = *s.Value
	}
	return seen
}

// arrive adds an arrival.
func (t *Trace) arrive(a Arrival) error {
	if a.Count < 0 || a.Count > MaxMessages {
		return fmt.Errorf("%d arrivals: want 0 to %d", a.Count, MaxMessages)
	}
	if a.Count > 0 {
		t.Arrivals = append(t.Arrivals, a)
	}
	return nil
}

// seconds returns a time of a trace.
func seconds(name string, s float64) (time.Duration, error) {
	if math.IsNaN(s) || s < 0 || s > MaxLength.Seconds() {
		return 0, fmt.Errorf("%s %v: want 0 to %.0f seconds", name, s, MaxLength.Seconds())
	}
	return time.Duration(math.Round(s * float64(time.Second))), nil
}

// A Writer writes a trace as JSON lines.
type Writer struct {
	out        io.Writer
	resolution time.Duration
	lines      int
}

// errFull is a trace with MaxLines lines.
var errFull = errors.New("the trace has as many lines as it may")

// NewWriter writes the header of a trace. An End of zero leaves the end to the last line.
func NewWriter(out io.Writer, h Header) (*Writer, error) {
	w := &Writer{out: out, resolution: h.Resolution}
	header := jsonHeader{
		Format: Format, End: h.End.Seconds(), Unit: h.Unit, Source: h.Source,
		Resolution: h.Resolution.Seconds(), Arrivals: h.Quality, Service: h.ServiceQuality,
	}
	if !h.Start.IsZero() {
		start := h.Start.UTC()
		header.Start = &start
	}
	if err := w.write(header); err != nil {
		return nil, err
	}
	return w, nil
}

// Arrive writes an arrival.
func (w *Writer) Arrive(a Arrival) error {
	line := jsonLine{T: a.At.Seconds(), Arrive: a.Count, Work: a.Work.Seconds()}
	if a.Over != w.resolution {
		line.Over = new(a.Over.Seconds())
	}
	return w.write(line)
}

// Service writes measured service times.
func (w *Writer) Service(at time.Duration, times ...time.Duration) error {
	line := jsonLine{T: at.Seconds()}
	for _, d := range times {
		line.Service = append(line.Service, d.Seconds())
	}
	return w.write(line)
}

// See writes an observed state.
func (w *Writer) See(s Seen) error {
	known := func(n int64) *int64 {
		if n < 0 {
			return nil
		}
		return &n
	}
	line := jsonLine{T: s.At.Seconds(), Seen: &jsonSeen{
		Ready: known(s.Ready), InFlight: known(s.InFlight), Replicas: known(s.Replicas), ReadyReplicas: known(s.ReadyReplicas),
	}}
	if s.Value >= 0 {
		line.Seen.Value = &s.Value
	}
	return w.write(line)
}

func (w *Writer) write(line any) error {
	if w.lines == MaxLines {
		return errFull
	}
	w.lines++
	data, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("write the trace: %w", err)
	}
	if _, err := w.out.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("write line %s of the trace: %w", strconv.Itoa(w.lines), err)
	}
	return nil
}

// Write writes a whole trace.
func Write(out io.Writer, t *Trace) error {
	w, err := NewWriter(out, t.Header)
	if err != nil {
		return err
	}
	for _, a := range t.Arrivals {
		if err := w.Arrive(a); err != nil {
			return err
		}
	}
	for i := 0; i < len(t.Service); i += serviceChunk {
		if err := w.Service(0, t.Service[i:min(i+serviceChunk, len(t.Service))]...); err != nil {
			return err
		}
	}
	for _, s := range t.Seen {
		if err := w.See(s); err != nil {
			return err
		}
	}
	return nil
}

// serviceChunk is how many service times are in a line.
const serviceChunk = 1000
