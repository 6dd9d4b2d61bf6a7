package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// TestWakeByHTTP: a client with the token of a connection has its queue read at once. A client without
// it learns nothing, not even which connections there are.
func TestWakeByHTTP(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		tokens := []backlog.Connection{
			{Name: "main", Engine: "fake", Namespaces: []string{"shop"}, WakeToken: backlog.NewSecret("s3cret")},
			{Name: "closed", Engine: "fake", Namespaces: []string{"shop"}},
		}
		w.server.SetCatalog(trigger.NewCatalog(tokens, []backlog.Engine{backlogtest.NewFake().Engine()}))
		handler := server.NewHTTP(server.HTTPOptions{Health: w.health, Gatherer: prometheus.NewRegistry(), Wake: w.server.WakeHandler()}).Handler
		post := func(method, path, authorization string) *httptest.ResponseRecorder {
			request := httptest.NewRequestWithContext(w.Context(), method, path, nil)
			request.Header.Set("Authorization", authorization)
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
			return recorder
		}
		w.isActive(ref("jobs"))
		w.fake.SetSilently("jobs", backlog.Reading{Ready: 1})
		if r := post(http.MethodPost, "/wake/main/jobs", "Bearer s3cret"); r.Code != http.StatusAccepted || strings.TrimSpace(r.Body.String()) != `{"queries":1}` {
			t.Errorf("%d %s", r.Code, r.Body)
		}
		time.Sleep(100 * time.Millisecond)
		if !w.isActive(ref("jobs")) {
			t.Error("the queue was not read again")
		}
		refused := post(http.MethodPost, "/wake/main/jobs", "Bearer wrong")
		for _, try := range [][2]string{
			{"/wake/main/jobs", ""},
			{"/wake/main/jobs", "Basic s3cret"},
			{"/wake/main/jobs", "Bearer"},
			{"/wake/other/jobs", "Bearer s3cret"},
			{"/wake/closed/jobs", "Bearer "},
		} {
			r := post(http.MethodPost, try[0], try[1])
			if r.Code != http.StatusUnauthorized || r.Body.String() != refused.Body.String() {
				t.Errorf("%v: %d %s, want the answer to a wrong token: %s", try, r.Code, r.Body, refused.Body)
			}
		}
		if r := post(http.MethodGet, "/wake/main/jobs", "Bearer s3cret"); r.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d", r.Code)
		}
		limited := 0
		for range 1000 {
			if post(http.MethodPost, "/wake/main/jobs", "Bearer s3cret").Code == http.StatusTooManyRequests {
				limited++
			}
		}
		if limited == 0 {
			t.Error("1000 requests at once are not limited")
		}
	})
}
