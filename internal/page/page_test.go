package page_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/page/pagetest"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for.
const patience = time.Minute

// get returns the status and the body of a page.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	response := open(t, url)
	data, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

// open sends a request over a connection of its own.
func open(t *testing.T, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// await polls a page until it has all of the texts.
func await(t *testing.T, url string, texts ...string) string {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		_, body := get(t, url)
		missing := ""
		for _, text := range texts {
			if !strings.Contains(body, text) {
				missing = text
			}
		}
		if missing == "" {
			return body
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s never has %q:\n%s", url, missing, body)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{Policies: true, Fault: errors.New("scaler.yaml:7: unknown key \"adresses\"")})
	w.Demo()
	w.SetPolicy("checkout", 4)
	for _, tc := range []struct {
		name, path string
		status     int
		want       []string
	}{
		{"the list", "/", 200, []string{
			`<a href="/triggers/shop/checkout">shop/checkout</a>`, `data-c="value">55 / 5<`, `data-c="wants">11<`, `data-c="inflight">12<`, "error <b>1</b>", "rejected <b>1</b>",
			"scaler.yaml:7: unknown key", "policy checkout", `id="policies-line">1 policy<`,
		}},
		{"a state", "/?state=rejected", 200, []string{"shop/exports", "1 to 1 of 1 trigger, of 8 in all", `did you mean &#34;target&#34;?`}},
		{"a search", "/?q=LEDG", 200, []string{"bank/ledger", "1 to 1 of 1 trigger"}},
		{"no match", "/?q=nothing-like-it", 200, []string{"No trigger matches", `<a href="/">Show all of them</a>`}},
		{"a trigger", "/triggers/shop/checkout", 200, []string{
			"wants 11 replicas (55 messages / 5 per replica), active", "37 ready", "scaler explain shop/checkout", "activation 3", "What happens next",
			"The time of that, and how far its behavior lets it go, are unknown here", "It last got the value", "describe hpa keda-hpa-checkout",
		}},
		{"one with a policy", "/triggers/shop/uses-checkout", 200, []string{"From the signals to the replicas", "next, by HPA", "The policy checkout"}},
		{"a rejected one", "/triggers/shop/exports", 200, []string{"rejected", "tagret", "Correct the trigger in the ScaledObject", "unknown is not zero"}},
		{"one that KEDA does not ask about", "/triggers/shop/chekcout", 404, []string{"did you mean shop/checkout?"}},
		{"the connections", "/connections", 200, []string{"2 connections of the configuration", "other-fake", "shop, bank"}},
		{"the policies", "/policies", 200, []string{"shop/checkout", "Deployment checkout", "Enforce via KEDA", "s in ", `class="spark"`}},
		{"a policy", "/policies/shop/checkout", 200, []string{"AutoscalerPolicy shop/checkout wants", "office-hours", "Europe/Berlin", "From the signals to the replicas", "The windows of the next seven days", "It begins when a page is open"}},
		{"no policy", "/policies/shop/nothing", 404, []string{"knows no AutoscalerPolicy"}},
		{"about", "/about", 200, []string{"v0.0.0", "backlog-scaler-7c9d8-x2v5p", "--active-interval", "has faults"}},
		{"no page", "/nothing", 404, []string{"There is no such page"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			await(t, w.URL+tc.path, tc.want...)
			if status, _ := get(t, w.URL+tc.path); status != tc.status {
				t.Errorf("status %d, want %d", status, tc.status)
			}
		})
	}
}

// TestGates: the list of policies has what the next step waits for, and the edges of windows.
func TestGates(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{Policies: true})
	w.Demo()
	floor, now := int32(2), time.Now()
	w.SetPolicy("checkout", 4, schedule.Spec{Name: "campaign", TimeZone: "UTC", From: now.Add(-time.Hour), Until: now.Add(6 * time.Hour), Floor: &floor})
	if list := await(t, w.URL+"/policies", "campaign"); !regexp.MustCompile(`(office-hours|night|campaign) (opens|closes) in `).MatchString(list) {
		t.Errorf("no next edge in\n%s", list)
	}
	w.Runner.SetTarget("shop", "checkout", policies.Target{Target: policy.Target{Replicas: 8, Available: 5, LastScale: time.Now().Add(-time.Minute)}})
	await(t, w.URL+"/policies", "waits for ")
	body := await(t, w.URL+"/policies/shop/checkout", "waits for", "The windows of the next seven days")
	for _, window := range []string{"office-hours", "night", "sale", "campaign", "Floor", "Ceiling"} {
		if !strings.Contains(body, window) {
			t.Errorf("the timeline does not have %q", window)
		}
	}
}

// TestPoliciesLine: the list of triggers says how many policies there are, also while it is open.
func TestPoliciesLine(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{Policies: true})
	w.Demo()
	if _, body := get(t, w.URL+"/"); strings.Contains(body, "policies-line") {
		t.Error("a list without policies has a line about them")
	}
	w.SetPolicy("checkout", 4)
	await(t, w.URL+"/", `id="policies-line">1 policy<`)
	s := follow(t, w, "/")
	w.SetPolicy("billing", 4)
	w.Runner.SetTarget("shop", "billing", policies.Target{Err: errors.New("no such Deployment")})
	s.until(`"policies":"2 policies, 1 with a problem"`)
	await(t, w.URL+"/policies", "2 policies", "no such Deployment")
}

func TestEmptyPages(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{})
	for path, want := range map[string]string{
		"/": "KEDA has not asked about any trigger yet", "/policies": "watches no AutoscalerPolicies", "/policies/shop/any": "it has to be started with --policies",
	} {
		if _, body := get(t, w.URL+path); !strings.Contains(body, want) {
			t.Errorf("%s does not have %q:\n%s", path, want, body)
		}
	}
	w = pagetest.New(t, pagetest.Options{Policies: true})
	if _, body := get(t, w.URL+"/policies"); !strings.Contains(body, "There is no AutoscalerPolicy") {
		t.Errorf("without any policy:\n%s", body)
	}
}

// TestHostileNames: what a tenant wrote is text, wherever it is shown.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{})
	w.Main.SetReady(pagetest.Hostile, 3)
	w.Ask("shop", pagetest.Hostile, "connection", "main", "queue", pagetest.Hostile)
	w.Ask("shop", "long", "connection", "main", "queue", strings.Repeat("x<b>", 2500))
	w.Ask("shop", "bad", "connection", pagetest.Hostile, pagetest.Hostile, pagetest.Hostile)
	list := await(t, w.URL+"/", "shop/long", "shop/bad")
	pages := []string{list}
	for _, name := range []string{"long", "bad", strings.NewReplacer("%", "%25", `"`, "%22", ">", "%3E", "<", "%3C", "/", "%2F", " ", "%20", "\u202e", "%E2%80%AE").Replace(pagetest.Hostile)} {
		status, body := get(t, w.URL+"/triggers/shop/"+name)
		if status != http.StatusOK {
			t.Errorf("%.40s: status %d", name, status)
		}
		pages = append(pages, body)
	}
	_, search := get(t, w.URL+"/?q=%22%3E%3Csvg%20onload%3Dalert(1)%3E&namespace=%22%3E%3Csvg%20onload%3E")
	for _, body := range append(pages, search) {
		for _, mark := range []string{"<svg onload", "<script>alert", "\u202e", "<b><"} {
			if strings.Contains(body, mark) {
				t.Errorf("%q is in a page:\n%.3000s", mark, body)
			}
		}
	}
}

// TestListOfMany: of 10,000 triggers a page has 100 rows, and the address selects which.
func TestListOfMany(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{})
	const many = 10_000
	w.Fill(many)
	body := await(t, w.URL+"/?sort=name", "1 to 100 of 10000 triggers", "worker-00099")
	if rows := strings.Count(body, "<tr id="); rows != inspector.PageSize {
		t.Errorf("%d rows", rows)
	}
	_, last := get(t, w.URL+"/?sort=name&page=100")
	if !strings.Contains(last, "9901 to 10000 of 10000 triggers") || !strings.Contains(last, "worker-09999") {
		t.Errorf("the last page:\n%.2000s", last)
	}
	for path, want := range map[string]string{
		"/?page=4711": "9901 to 10000", "/?page=-1": "1 to 100", "/?sort=nonsense": "1 to 100", "/?q=worker-00042": "1 to 1 of 1 trigger",
	} {
		if _, body := get(t, w.URL+path); !strings.Contains(body, want) {
			t.Errorf("%s does not have %q", path, want)
		}
	}
}

// TestOutage: a connection that cannot be read is a banner on every page, with its effect.
func TestOutage(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{MaxStaleness: time.Hour})
	w.Demo()
	await(t, w.URL+"/", `data-c="value">21 / 4<`)
	w.Other.Fail(errors.Join(backlog.ErrUnavailable, errors.New("connection refused")))
	await(t, w.URL+"/", "Connection other cannot be read", "For 1 trigger the last reading is used", "bridged <b>1</b>")
	await(t, w.URL+"/about", "Connection other cannot be read")
	await(t, w.URL+"/connections", "1 of 1 queue, for", "connection refused")
	w.Other.Fail(nil)
	deadline := time.Now().Add(patience)
	for {
		if _, body := get(t, w.URL+"/"); !strings.Contains(body, "cannot be read") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the banner stays")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A stream reads the messages of a page.
type stream struct {
	*testing.T
	lines *bufio.Scanner
}

func follow(t *testing.T, w *pagetest.World, of string) *stream {
	t.Helper()
	response := open(t, w.URL+"/events?of="+of)
	t.Cleanup(func() { _ = response.Body.Close() })
	if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("status %d, %q", response.StatusCode, got)
	}
	return &stream{t, bufio.NewScanner(response.Body)}
}

// until reads messages until one has all of the texts.
func (s *stream) until(texts ...string) {
	s.Helper()
	for s.lines.Scan() {
		data, is := strings.CutPrefix(s.lines.Text(), "data: ")
		if !is {
			continue
		}
		if !json.Valid([]byte(data)) {
			s.Fatalf("no JSON: %s", data)
		}
		found := true
		for _, text := range texts {
			found = found && strings.Contains(data, text)
		}
		if found {
			return
		}
	}
	s.Fatalf("the stream ends without %q: %v", texts, s.lines.Err())
}

// TestEvents: a stream has what changes of the rows of its page, and nothing else.
func TestEvents(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{MaxStaleness: time.Hour})
	w.Demo()
	await(t, w.URL+"/", `data-c="value">21 / 4<`)
	list, ledger, trigger := follow(t, w, "/"), follow(t, w, "/%3Fq%3Dledger"), follow(t, w, "/triggers/shop/checkout")
	list.until(`"state":"active"`, `"value":"21 / 4"`, `"value":"55 / 5"`)
	w.Other.Set("transfers", backlog.Reading{Ready: 33})
	list.until(`"value":"33 / 4"`)
	ledger.until(`"value":"33 / 4"`)
	w.Other.Fail(errors.Join(backlog.ErrUnavailable, errors.New("gone")))
	ledger.until(`"state":"bridged"`, `"load":true`)
	trigger.until(`"load":true`)
}

// TestLargeEvents: one event has at most 64 KiB, and all rows arrive in the order of the list.
func TestLargeEvents(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{})
	for i := range inspector.PageSize {
		w.Ask("shop", fmt.Sprintf("worker-%03d", i), "connection", "main", "queue", "jobs", strings.Repeat("<", 500), "x")
	}
	await(t, w.URL+"/", "1 to 100 of 100 triggers")
	s := follow(t, w, "/")
	events, rows := 0, 0
	for rows < inspector.PageSize && s.lines.Scan() {
		data, is := strings.CutPrefix(s.lines.Text(), "data: ")
		if !is {
			continue
		}
		var event struct {
			Rows []struct{ ID string }
		}
		if err := json.Unmarshal([]byte(data), &event); err != nil || len(data) > 64<<10 || len(event.Rows) == 0 {
			t.Fatalf("an event of %d bytes with %d rows: %v", len(data), len(event.Rows), err)
		}
		events, rows = events+1, rows+len(event.Rows)
	}
	if rows != inspector.PageSize || events < 2 {
		t.Errorf("%d rows in %d events, want %d rows in several: %v", rows, events, inspector.PageSize, s.lines.Err())
	}
}

// TestStreamsAreBounded: beyond the limit a browser is asked to poll, and a stream that ends makes
// room.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{})
	w.Demo()
	var responses []*http.Response
	for range inspector.MaxListeners {
		responses = append(responses, open(t, w.URL+"/events?of=/")) //nolint:bodyclose // all are closed below
	}
	beyond := func() int {
		response := open(t, w.URL+"/events?of=/")
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode
	}
	if status := beyond(); status != http.StatusNoContent {
		t.Errorf("one more: status %d", status)
	}
	for _, response := range responses {
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	deadline := time.Now().Add(patience)
	for beyond() != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatal("the streams that ended make no room")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if status, _ := get(t, w.URL+"/events?of=%3A%2F"); status != http.StatusBadRequest {
		t.Errorf("an address that is none: status %d", status)
	}
}

// TestAssets: the script is small, and nothing comes from elsewhere.
func TestAssets(t *testing.T) {
	t.Parallel()
	w := pagetest.New(t, pagetest.Options{})
	for path, most := range map[string]int{"/assets/page.js": 10_000, "/assets/page.css": 20_000, "/assets/icon.svg": 1000} {
		status, body := get(t, w.URL+path)
		if status != http.StatusOK || len(body) > most {
			t.Errorf("%s: status %d, %d bytes, want at most %d", path, status, len(body), most)
		}
		if strings.Contains(strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""), "://") {
			t.Errorf("%s names another address", path)
		}
	}
	_, body := get(t, w.URL+"/")
	for _, mark := range []string{"http://", "https://", " style=", "<style", "onclick", "onload"} {
		if strings.Contains(body, mark) {
			t.Errorf("%q is in the page", mark)
		}
	}
}
