package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// errorText returns the field "error" of a body.
func errorText(body []byte) string {
	var answer struct{ Error string }
	_ = json.Unmarshal(body, &answer)
	return answer.Error
}

// TestRequest compares what a server gets.
func TestRequest(t *testing.T) {
	t.Parallel()
	type got struct{ Method, URI, Authorization, Tenant, ContentType, Body, Agent string }
	serve := func(t *testing.T, seen chan<- got) string {
		t.Helper()
		return answering(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			seen <- got{
				r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("X-Scope-OrgID"),
				r.Header.Get("Content-Type"), string(body), r.Header.Get("User-Agent"),
			}
			_, _ = io.WriteString(w, "{}")
		})
	}
	for name, c := range map[string]struct {
		path     string
		settings map[string]any
		request  httpapi.Request
		want     got
	}{
		"plain":     {"", nil, httpapi.Request{Path: "/api"}, got{Method: "GET", URI: "/api"}},
		"base path": {"/a%2Fb/", nil, httpapi.Request{Path: "/x%2Fy", Query: url.Values{"q": {"a b&c"}}}, got{Method: "GET", URI: "/a%2Fb/x%2Fy?q=a+b%26c"}},
		"raw query": {"", nil, httpapi.Request{Path: "/x", RawQuery: "b=2&a=1"}, got{Method: "GET", URI: "/x?b=2&a=1"}},
		"body": {
			"", nil,
			httpapi.Request{Method: http.MethodPost, Path: "/", ContentType: "application/json", Body: []byte("{}")},
			got{Method: "POST", URI: "/", ContentType: "application/json", Body: "{}"},
		},
		"user":  {"", map[string]any{"username": "u", "password": backlog.NewSecret("p")}, httpapi.Request{Path: "/"}, got{Method: "GET", URI: "/", Authorization: "Basic dTpw"}},
		"token": {"", map[string]any{"token": backlog.NewSecret("t"), "tenant": "a|b"}, httpapi.Request{Path: "/"}, got{Method: "GET", URI: "/", Authorization: "Bearer t", Tenant: "a|b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan got, 1)
			c.want.Agent = "backlog-scaler"
			if _, err := open(t, serve(t, seen)+c.path, c.settings).Do(t.Context(), c.request); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, <-seen); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPathsStayBelow has paths that would lead elsewhere. None is sent.
func TestPathsStayBelow(t *testing.T) {
	t.Parallel()
	client := open(t, answering(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was sent", r.RequestURI) })+"/base", nil)
	for _, path := range []string{"", "x", "/..", "/../x", "/a/%2e%2e/b", `/a\..\b`, "/%zz", "/a?b", "/a#b", "@example.com/"} {
		if _, err := client.Do(t.Context(), httpapi.Request{Path: path}); !errors.Is(reason(t, err), backlog.ErrMismatch) {
			t.Errorf("path %q: got %v, want ErrMismatch", path, err)
		}
	}
}

// TestStatuses has each kind of answer.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status       int
		kind, body   string
		settings     map[string]any
		want         error
		text, change string
	}{
		"ok":              {status: 200, body: "{}"},
		"no content":      {status: 204},
		"not found":       {status: 404, body: `{"error":"no such path"}`},
		"bad request":     {status: 400, body: `{"error":"bad"}`},
		"unprocessable":   {status: 422, body: `{"error":"bad"}`},
		"unauthorized":    {status: 401, want: backlog.ErrDenied, text: "401 Unauthorized", change: "username and password, or token: the server requires them"},
		"wrong token":     {status: 401, settings: map[string]any{"token": backlog.NewSecret("hunter2")}, want: backlog.ErrDenied, change: "does not know them"},
		"forbidden":       {status: 403, settings: map[string]any{"token": backlog.NewSecret("hunter2")}, body: `{"error":"token hunter2 may not"}`, want: backlog.ErrDenied, text: `"token *** may not"`, change: "the rights of the user"},
		"proxy":           {status: 407, want: backlog.ErrDenied, change: "a proxy answers"},
		"too many":        {status: 429, want: backlog.ErrUnavailable, text: "429 Too Many Requests"},
		"internal":        {status: 500, body: `{"error":"out of\nmemory"}`, want: backlog.ErrUnavailable, text: `"out of\\nmemory"`},
		"unavailable":     {status: 503, kind: "text/html", body: "<html>down</html>", want: backlog.ErrUnavailable, text: "503 Service Unavailable"},
		"unknown":         {status: 599, want: backlog.ErrUnavailable, text: "599"},
		"page":            {status: 200, kind: "text/html; charset=utf-8", body: "hello", want: backlog.ErrMismatch, text: "a page (HTML)", change: "url:"},
		"page unsaid":     {status: 200, kind: "application/json", body: "\n <!DOCTYPE html>", want: backlog.ErrMismatch, text: "a page (HTML)", change: "url:"},
		"to the tls port": {status: 400, body: "Client sent an HTTP request to an HTTPS server.\n", want: backlog.ErrUnavailable, text: "speaks TLS", change: "url: https://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := open(t, answering(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.kind != "" {
					w.Header().Set("Content-Type", c.kind)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}), c.settings)
			response, err := client.Do(t.Context(), httpapi.Request{Path: "/", ErrorText: errorText})
			if c.want == nil {
				if err != nil || response.Status != c.status || string(response.Body) != c.body {
					t.Errorf("got %+v and %v", response, err)
				}
				return
			}
			text, change := backlog.Advice(err)
			if !errors.Is(reason(t, err), c.want) || !strings.Contains(text, c.text) || !strings.Contains(change, c.change) || c.change == "" && change != "" {
				t.Errorf("got %v (change: %q), want %v with %q and %q", text, change, c.want, c.text, c.change)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error has the secret: %v", err)
			}
		})
	}
}

// TestRedirectsAreNotFollowed has a server that leads elsewhere, with credentials at stake.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	other := answering(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	client := open(t, answering(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other+"/login?session=hunter2", http.StatusFound)
	}), map[string]any{"token": backlog.NewSecret("t")})
	_, err := client.Do(t.Context(), httpapi.Request{Path: "/"})
	text, change := backlog.Advice(err)
	if !errors.Is(reason(t, err), backlog.ErrMismatch) || !strings.Contains(text, "302 Found to "+other) || strings.Contains(text, "hunter2") || !strings.HasPrefix(change, "url:") {
		t.Errorf("got %v (change: %q)", text, change)
	}
}

// TestFirstContact has what goes wrong before an answer, with what to change.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	secure := httptest.NewUnstartedServer(ok)
	secure.Config.ErrorLog = nil
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := answering(t, ok)
	closed := backlogtest.FreeAddress(t)
	for name, c := range map[string]struct{ url, text, change string }{
		"plain to a TLS port": {strings.Replace(secure.URL, "https", "http", 1), "speaks TLS", "url: https:// in place of http://"},
		"TLS to a plain port": {strings.Replace(plain, "http", "https", 1), "does not speak TLS", "url: http:// in place of https://"},
		"unknown authority":   {secure.URL, "unknown authority", "tlsCAFile: "},
		"no such host":        {"http://no-such-host.invalid", "no-such-host.invalid", `url: the name "no-such-host.invalid" does not resolve`},
		"connection refused":  {"http://" + closed, "refused", "url, or start the server: nothing listens there"},
		"not HTTP":            {talking(t, send("220 mail.example.com ESMTP\r\n")), "not HTTP", "url: the host and port of the API"},
		"the end":             {talking(t, send()), "ends the connection", "url: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, c.url, nil).Do(t.Context(), httpapi.Request{Path: "/"})
			text, change := backlog.Advice(err)
			if !errors.Is(reason(t, err), backlog.ErrUnavailable) || !strings.Contains(text, c.text) || !strings.HasPrefix(change, c.change) {
				t.Errorf("got %v (change: %q), want %q and %q", text, change, c.text, c.change)
			}
		})
	}
}

// TestNoAdviceInAnOutage has a server that worked before.
func TestNoAdviceInAnOutage(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	client := open(t, server.URL, nil)
	if _, err := client.Do(t.Context(), httpapi.Request{Path: "/"}); err != nil {
		t.Fatal(err)
	}
	server.Close()
	_, err := client.Do(t.Context(), httpapi.Request{Path: "/"})
	if _, change := backlog.Advice(err); !errors.Is(reason(t, err), backlog.ErrUnavailable) || change != "" {
		t.Errorf("got %v, want ErrUnavailable without advice", err)
	}
}

// TestCallerEnds has a caller that gives up first.
func TestCallerEnds(t *testing.T) {
	t.Parallel()
	client := open(t, talking(t, func(ctx context.Context, _ net.Conn) { <-ctx.Done() }), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Do(ctx, httpapi.Request{Path: "/"})
	if !errors.Is(reason(t, err), backlog.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrUnavailable and the end of the context", err)
	}
}
