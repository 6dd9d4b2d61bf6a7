package server

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

const (
	// maxPages is how many pages of metrics there may be at a time, for clients that are
	// slow to read theirs.
	maxPages = 3
	// pageTimeout is how long a client may take to read one. Prometheus itself gives up
	// after 10 s.
	pageTimeout = 10 * time.Second
)

// pages are the answers to scrapes. A page is made in memory and then sent, so that clients
// that do not read keep no other one waiting: scrapes that wait for the same page share it,
// and with maxPages of them unread the newest is sent again, which is pageTimeout old at most.
type pages struct {
	gatherer prometheus.Gatherer

	// mu guards what follows, and is held while a page is made: one at a time.
	mu     sync.Mutex
	newest *page
	// unread are those that are being sent: how many clients get each.
	unread map[*page]int
}

// A page is immutable.
type page struct {
	// began is when its metrics began to be read.
	began time.Time
	// text is compressed by gzip.
	text []byte
	err  error
}

func newPages(gatherer prometheus.Gatherer) *pages {
	return &pages{gatherer: gatherer, unread: map[*page]int{}}
}

// pageFormat is what all clients get, whatever they ask for: all of them understand it.
var pageFormat = expfmt.NewFormat(expfmt.TypeTextPlain) //nolint:gochecknoglobals // a constant of the library

// ServeHTTP answers a scrape.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page := p.take(time.Now())
	defer p.give(page)
	// A connection that knows no deadlines is one of a test.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(pageTimeout))
	if page.err != nil {
		http.Error(w, "the metrics could not be read: "+page.err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", string(pageFormat))
	// Where sending fails the client is gone, or too slow.
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(page.text)
		return
	}
	if text, err := gzip.NewReader(bytes.NewReader(page.text)); err == nil {
		_, _ = io.Copy(w, text) //nolint:gosec // what is unpacked was packed here
	}
}

// take returns a page that began after a scrape was asked for, or the newest one if there
// are too many that are not read.
func (p *pages) take(asked time.Time) *page {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := p.newest != nil && p.newest.began.After(asked)
	if !fresh && (len(p.unread) < maxPages || p.newest == nil) {
		p.newest = p.make()
	}
	p.unread[p.newest]++
	return p.newest
}

// give returns a page that was sent.
func (p *pages) give(page *page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unread[page]--
	if p.unread[page] == 0 {
		delete(p.unread, page)
	}
	if len(p.unread) == 0 {
		p.newest = nil
	}
}

// make reads all metrics.
func (p *pages) make() *page {
	made := &page{began: time.Now()}
	families, err := p.gatherer.Gather()
	if err != nil {
		made.err = err
		return made
	}
	var text bytes.Buffer
	packer, err := gzip.NewWriterLevel(&text, gzip.BestSpeed)
	if err != nil {
		made.err = err
		return made
	}
	encoder := expfmt.NewEncoder(packer, pageFormat)
	for _, family := range families {
		if made.err = encoder.Encode(family); made.err != nil {
			return made
		}
	}
	made.err = packer.Close()
	made.text = text.Bytes()
	return made
}
