package page

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

const (
	// retry is how long a browser waits until it opens a lost stream again, in milliseconds.
	retry = 2000
	// maxStream is how long a stream lasts; the browser then opens another one.
	maxStream = 30 * time.Minute
	// ageEvery is the number of scans after which the ages of all rows are sent, and a page that is
	// no list is loaded again.
	ageEvery = 5
	// quietEvery is the number of scans after which a stream without news says so, so that what lies
	// between does not close it, and a page knows that the scaler is there.
	quietEvery = 10
)

// A message is one event of a stream.
type message struct {
	// At is the time of the scan.
	At string `json:"at"`
	// Rows are the rows that changed.
	Rows []json.RawMessage `json:"rows,omitempty"`
	// Policies is the line about policies of the list; empty if it is not sent.
	Policies string `json:"policies,omitempty"`
	// Load reports that the page is to be loaded again.
	Load bool `json:"load,omitempty"`
}

// A rowChange has the cells of a row that changed. The script writes them as text.
type rowChange struct {
	ID    string            `json:"id"`
	State string            `json:"state,omitempty"`
	Spark string            `json:"spark,omitempty"`
	Cells map[string]string `json:"cells"`
}

// A follower is one stream.
type follower struct {
	page *Page
	// list reports whether the page is the list of triggers, whose rows have these keys.
	list bool
	keys []uint64
	// query is that of the list, and since the last scan that was sent; zero before the first.
	query inspector.Query
	since uint64
	// sent is the scan of the last message, and outages are those of it.
	sent    uint64
	outages int
}

// events serves a stream of what changes on the page whose address is the parameter "of". A browser
// ends its attempts at 204 and polls.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	of, err := url.Parse(r.URL.Query().Get("of"))
	if err != nil {
		http.Error(w, "the parameter \"of\" is no address of a page", http.StatusBadRequest)
		return
	}
	leave, err := p.inspector.Listen()
	if err != nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	// The request is read, and its deadline would end the stream.
	_ = control.SetReadDeadline(time.Time{})
	f := &follower{page: p, list: of.Path == "/", query: queryOf(of.Query())}
	if _, err := fmt.Fprintf(w, "retry: %d\n\n", retry); err != nil {
		return
	}
	end := time.NewTimer(maxStream)
	defer end.Stop()
	for {
		if err := f.send(w); err != nil || control.Flush() != nil {
			return
		}
		timer := time.NewTimer(p.inspector.UntilNext())
		select {
		case <-timer.C:
		case <-end.C:
			timer.Stop()
			return
		case <-r.Context().Done():
			timer.Stop()
			return
		}
	}
}

// send sends what is new, if anything is.
func (f *follower) send(w http.ResponseWriter) error {
	first := f.since == 0
	if first && f.list {
		f.keys = f.page.inspector.Keys(&f.query)
	}
	news := f.page.inspector.Changes(f.keys, f.since)
	if !first && news.Scan == f.since {
		return nil
	}
	m := f.message(&news, first)
	f.since, f.outages = news.Scan, len(news.Outages)
	if len(m.Rows) == 0 && !m.Load && m.Policies == "" && !first && news.Scan-f.sent < quietEvery {
		return nil
	}
	f.sent = news.Scan
	return write(w, &m)
}

// maxEvent bounds one event of a stream, in bytes. A row of the list takes less than 2 kB.
const maxEvent = 64 << 10

// write sends a message in events of at most maxEvent bytes: the rows of one that is larger are those of
// several, and the last one has the rest.
func write(w io.Writer, m *message) error {
	for rows := m.Rows; ; {
		part := message{At: m.At}
		size := 0
		for len(part.Rows) < len(rows) && (size == 0 || size+len(rows[len(part.Rows)]) < maxEvent-envelope) {
			size += len(rows[len(part.Rows)]) + len(",")
			part.Rows = rows[:len(part.Rows)+1]
		}
		rows = rows[len(part.Rows):]
		if len(rows) == 0 {
			part.Load, part.Policies = m.Load, m.Policies
		}
		data, err := json.Marshal(part)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil || len(rows) == 0 {
			return err
		}
	}
}

// envelope is room for what an event has next to its rows.
const envelope = 256

// message returns the message about a scan.
func (f *follower) message(news *inspector.News, first bool) message {
	m := message{At: clock(news.At), Load: !first && (news.Gone || len(news.Outages) != f.outages)}
	changed := news.Changed
	// All streams do this at the same scans, so that they share what it costs.
	if aged := news.Scan%ageEvery == 0; aged && !first {
		changed = f.keys
		if f.list {
			m.Policies = f.page.shared.policies(news.Scan, f.page)
		}
		m.Load = m.Load || !f.list || !slices.Equal(f.keys, f.page.shared.keys(news.Scan, &f.query, f.page.inspector))
	}
	if m.Load && f.list {
		f.keys = f.page.shared.keys(news.Scan, &f.query, f.page.inspector)
	}
	for _, key := range changed {
		if row := f.page.shared.row(news.Scan, news.At, key, f.page.inspector); row != nil {
			m.Rows = append(m.Rows, row)
		}
	}
	return m
}
