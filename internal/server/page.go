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
	// maxPages bounds the pages of metrics in memory, which slow clients have not read yet.
	maxPages = 3
	// pageTimeout bounds the time to read a page. Prometheus gives up after 10 s.
	pageTimeout = 10 * time.Second
)

// pages serve scrapes. A page is built in memory and then sent, so that a client that does not
// read delays no other. Scrapes that wait for the same page share it. While maxPages are
// unread, the newest one is sent again; it is at most pageTimeout old.
type pages struct {
	gatherer prometheus.Gatherer

	// mu guards what follows. It is held while a page is built, so that one is built at a time.
	mu     sync.Mutex
	newest *page
	// unread has the number of clients that each page is being sent to.
	unread map[*page]int
}

// A page is immutable.
type page struct {
	// began is when the gathering of its metrics began.
	began time.Time
	// text is compressed by gzip.
	text []byte
	err  error
}

func newPages(gatherer prometheus.Gatherer) *pages {
	return &pages{gatherer: gatherer, unread: map[*page]int{}}
}

// pageFormat is the format for all clients, whatever they accept: all of them understand it.
var pageFormat = expfmt.NewFormat(expfmt.TypeTextPlain) //nolint:gochecknoglobals // a constant of the library

// ServeHTTP answers a scrape.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page := p.take(time.Now())
	defer p.give(page)
	// Only connections in tests have no deadlines.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(pageTimeout))
	if page.err != nil {
		http.Error(w, "gather metrics: "+page.err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", string(pageFormat))
	// An error of Write means that the client is gone, or too slow.
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(page.text)
		return
	}
	if text, err := gzip.NewReader(bytes.NewReader(page.text)); err == nil {
		_, _ = io.Copy(w, text) //nolint:gosec // what is unpacked was packed here
	}
}

// take returns a page that began after the scrape did, or the newest one if too many are unread.
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

// give ends the use of a page.
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

// make gathers all metrics.
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
