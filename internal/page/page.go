// Package page serves the web page of the scaler: what the inspector knows, for a browser. The
// server renders everything, so each page is whole without a script. The script only keeps a page
// up to date.
package page

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// An Inspector knows what is shown.
type Inspector interface {
	// Triggers returns the rows that a query selects.
	Triggers(q *inspector.Query) inspector.View
	// Keys returns the keys of the rows that a query selects, and Row one of them.
	Keys(q *inspector.Query) []uint64
	Row(key uint64) (row inspector.Row, history []inspector.Sample, found bool)
	// Changes returns what changed of rows after a scan.
	Changes(keys []uint64, since uint64) inspector.News
	// Listen counts a client that follows changes until leave is called, and UntilNext is the time
	// until the next scan for it.
	Listen() (leave func(), err error)
	UntilNext() time.Duration
	// Explain explains the triggers of a ScaledObject. Missing has what its errors say.
	Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error)
	// ExplainPolicy explains a policy.
	ExplainPolicy(ctx context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error)
	// Missing returns the text of an error, and whether it is that there is no such thing.
	Missing(err error) (text string, missing bool)
	// ConnectionStates returns the state of all connections, ordered by name.
	ConnectionStates() []backlog.ConnectionState
	// Policies returns all policies, ordered by name, and whether any are watched.
	Policies() (all []policies.Explanation, watched bool)
	// PolicyHistory returns the last ten minutes of a policy, the oldest sample first.
	PolicyHistory(key policies.Key) []inspector.Sample
	// Fault returns the faults of the configuration file; nil if it is in force.
	Fault() error
}

// A Setting is one line of the page about the scaler.
type Setting struct{ Name, Value string }

// Options are what the page says about the scaler itself.
type Options struct {
	Inspector Inspector
	// Version is that of the program, and Replica its name, such as that of its pod.
	Version, Replica string
	// Settings are the flags and their values.
	Settings []Setting
}

//go:embed assets templates
var files embed.FS

// A Page serves the web page.
type Page struct {
	inspector Inspector
	options   Options
	// templates are parsed when the first page is asked for: at the start of the program that
	// would take longer than all else.
	templates func() (map[string]*template.Template, error)
	mux       *http.ServeMux
	shared    shared
}

// New returns the Page.
func New(o Options) *Page {
	p := &Page{inspector: o.Inspector, options: o, templates: sync.OnceValues(parse), mux: http.NewServeMux()}
	p.mux.Handle("GET /assets/", http.FileServerFS(files))
	p.mux.HandleFunc("GET /{$}", p.overview)
	p.mux.HandleFunc("GET /triggers/{namespace}/{name}", p.trigger)
	p.mux.HandleFunc("GET /connections", p.connections)
	p.mux.HandleFunc("GET /policies", p.policies)
	p.mux.HandleFunc("GET /policies/{namespace}/{name}", p.policy)
	p.mux.HandleFunc("GET /about", p.about)
	p.mux.HandleFunc("GET /events", p.events)
	p.mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		p.missing(w, "There is no such page.", "The navigation has all pages.")
	})
	return p
}

// parse returns the templates of the pages, by name.
func parse() (map[string]*template.Template, error) {
	base, err := template.New("base").Funcs(functions()).ParseFS(files, "templates/base.html", "templates/parts.html", "templates/pictures.html")
	if err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	all := map[string]*template.Template{}
	for _, name := range []string{"overview", "trigger", "connections", "policies", "policy", "about", "missing"} {
		page, err := base.Clone()
		if err == nil {
			page, err = page.ParseFS(files, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("parse template %s: %w", name, err)
		}
		all[name] = page
	}
	return all, nil
}

// ServeHTTP serves all paths.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// A frame is what every page has.
type frame struct {
	Title string
	// Section is the entry of the navigation.
	Section string
	At      time.Time
	Replica string
	Version string
	Outages []inspector.Outage
	// Fault has the faults of the configuration file, a line each.
	Fault []string
	// Total is the number of triggers.
	Total int
	// Body is what the page shows.
	Body any
}

// now is the time of the last scan, which ages are counted from.
func (p *Page) now() time.Time { return p.inspector.Changes(nil, 0).At }

// frame returns what all pages have.
func (p *Page) frame(title, section string, body any) frame {
	v := p.inspector.Changes(nil, 0)
	f := frame{Title: title, Section: section, At: v.At, Replica: p.options.Replica, Version: p.options.Version, Outages: v.Outages, Total: v.Total, Body: body}
	if err := p.inspector.Fault(); err != nil {
		f.Fault = strings.Split(backlog.Lines(err.Error(), maxFaults), "\n")
	}
	return f
}

// maxFaults bounds the faults of the configuration that are shown.
const maxFaults = 50

// render sends a page. It is built in memory, so that an error leaves no half of one.
func (p *Page) render(w http.ResponseWriter, status int, name string, f frame) {
	var b bytes.Buffer
	templates, err := p.templates()
	if err == nil {
		err = templates[name].ExecuteTemplate(&b, "base", f)
	}
	if err != nil {
		http.Error(w, "the page could not be built: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	// An error means that the client is gone.
	_, _ = w.Write(b.Bytes())
}

// missing says that there is nothing at an address.
func (p *Page) missing(w http.ResponseWriter, what, advice string) {
	p.render(w, http.StatusNotFound, "missing", p.frame("Not found", "", [2]string{what, advice}))
}
