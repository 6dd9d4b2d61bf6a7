package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// manager is that of the clients of tests.
const manager = "test"

func start() time.Time { return time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC) }

// object is one of the API server, as JSON.
type object map[string]any

// newObject makes an object. Its fields follow those of metadata.
func newObject(apiVersion, kind, namespace, name string, fields object) object {
	o := object{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"namespace": namespace, "name": name}}
	maps.Copy(o, fields)
	return o
}

// A server lists and watches objects by their addresses, and answers other requests by a table.
type server struct {
	t *testing.T

	mu       sync.Mutex // guards what follows
	version  int
	objects  map[string]object        // by the address
	watches  map[string][]chan object // by the address of the list
	answers  map[string]http.HandlerFunc
	requests []string
}

// serve starts a server, and returns a client of it.
func serve(t *testing.T, now func() time.Time) (*server, *Client) {
	t.Helper()
	s := &server{t: t, objects: make(map[string]object), watches: make(map[string][]chan object), answers: make(map[string]http.HandlerFunc)}
	listener := httptest.NewServer(s)
	client, err := New(&rest.Config{Host: listener.URL, Transport: &http.Transport{}}, manager, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		listener.Close()
	})
	return s, client
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	answer := s.answers[r.URL.Path]
	s.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case r.URL.Query().Get("watch") != "":
		s.watch(w, r)
	default:
		s.list(w, r.URL.Path)
	}
}

// at returns the objects of a list.
func (s *server) at(list string) []object {
	objects := []object{}
	for address, o := range s.objects {
		if strings.HasPrefix(address, list+"/") {
			objects = append(objects, o)
		}
	}
	return objects
}

func (s *server) list(w http.ResponseWriter, list string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, kind := s.at(list), "List"
	if len(objects) > 0 {
		kind = fmt.Sprintf("%vList", objects[0]["kind"])
	}
	s.write(w, object{
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)}, "items": objects, "kind": kind, "apiVersion": apiVersionOf(list),
	})
}

// apiVersionOf returns the API of an address such as /apis/keda.sh/v1alpha1/scaledobjects.
func apiVersionOf(address string) string {
	parts := strings.Split(address, "/")
	return parts[2] + "/" + parts[3]
}

// watch sends the objects that there are, a bookmark, and what changes then:
// https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists
func (s *server) watch(w http.ResponseWriter, r *http.Request) {
	list, events := r.URL.Path, make(chan object, 100)
	s.mu.Lock()
	objects := s.at(list)
	bookmark := newObject("v1", "Bookmark", "", "", nil)
	if len(objects) > 0 {
		bookmark["apiVersion"], bookmark["kind"] = objects[0]["apiVersion"], objects[0]["kind"]
	}
	bookmark["metadata"] = map[string]any{"resourceVersion": strconv.Itoa(s.version), "annotations": map[string]any{"k8s.io/initial-events-end": "true"}}
	s.watches[list] = append(s.watches[list], events)
	s.mu.Unlock()
	for _, o := range objects {
		s.write(w, object{"type": "ADDED", "object": o})
	}
	s.write(w, object{"type": "BOOKMARK", "object": bookmark})
	for {
		select {
		case event := <-events:
			s.write(w, event)
		case <-r.Context().Done():
			return
		}
	}
}

func (s *server) write(w http.ResponseWriter, value object) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		return // The client has gone.
	}
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
}

// put stores an object at an address.
func (s *server) put(list string, o object) {
	s.change(list, o, "ADDED", "MODIFIED")
}

// remove removes it.
func (s *server) remove(list string, o object) { s.change(list, o, "", "DELETED") }

func (s *server) change(list string, o object, added, changed string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	meta, ok := o["metadata"].(map[string]any)
	if !ok {
		s.t.Fatal("no metadata")
	}
	s.version++
	meta["resourceVersion"] = strconv.Itoa(s.version)
	name, _ := meta["name"].(string)
	kind := changed
	if _, found := s.objects[list+"/"+name]; !found {
		kind = added
	}
	s.objects[list+"/"+name] = o
	if changed == "DELETED" {
		delete(s.objects, list+"/"+name)
	}
	for _, events := range s.watches[list] {
		events <- object{"type": kind, "object": o}
	}
}

// answer answers an address with a status and a body.
func (s *server) answer(path string, status int, body object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
}

// asked returns how often an address was asked for.
func (s *server) asked(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(s.requests), func(other string) bool { return other != request }))
}

// failure is the body of an error of the API server.
func failure(code int, reason string) object {
	return object{"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}
}
