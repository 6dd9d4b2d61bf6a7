package admin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves a page that says hello, and a route, at the address that it returns.
func serve(t *testing.T, hosts ...string) string {
	t.Helper()
	says := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, text, " ", r.Proto) })
	}
	s := admin.NewServer(admin.Options{Routes: map[string]http.Handler{"/service/Call": says("call")}, Page: says("page"), Hosts: hosts})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// A reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request by HTTP/1.1, or by HTTP/2.
func do(t *testing.T, http2 bool, r *http.Request) reply {
	t.Helper()
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

func request(t *testing.T, method, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHosts(t *testing.T) {
	t.Parallel()
	address := serve(t, "Scaler.example")
	for host, want := range map[string]int{
		"127.0.0.1:9091": 200, "[::1]:9091": 200, "[::1]": 200, "localhost": 200, "LOCALHOST.:80": 200, "10.0.0.7": 200,
		"scaler.example": 200, "scaler.EXAMPLE:9091": 200,
		"127.0.0.1.evil.example": 421, "evil.example:9091": 421, "localhost.evil.example": 421, "scaler.example.evil.example": 421,
		"[::1": 421, "localhost:http": 421, "2130706433": 421, "127.1": 421, strings.Repeat("a", 5000): 421,
	} {
		for _, http2 := range []bool{false, true} {
			for _, path := range []string{"/", "/service/Call"} {
				r := request(t, http.MethodGet, "http://"+address+path)
				r.Host = host
				if got := do(t, http2, r); got.status != want {
					t.Errorf("%.60s, HTTP/2 %t, %s: %d, want %d: %s", host, http2, path, got.status, want, got.body)
				}
			}
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	address := serve(t)
	for _, tc := range []struct {
		name, method, path, contentType, site string
		want                                  int
	}{
		{"a page", "GET", "/", "", "", 200},
		{"its header", "HEAD", "/triggers/shop/orders", "", "", 200},
		{"a write", "POST", "/", "", "", 405},
		{"another one", "DELETE", "/triggers/shop/orders", "", "", 405},
		{"a call", "POST", "/service/Call", "application/json", "", 200},
		{"a call of the page", "POST", "/service/Call", "application/json", "same-origin", 200},
		{"a call of another site", "POST", "/service/Call", "application/json", "cross-site", 403},
		{"a link from another site", "GET", "/", "", "cross-site", 200},
		{"a call of an unknown service", "POST", "/other/Call", "application/grpc", "", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := request(t, tc.method, "http://"+address+tc.path)
			r.Header.Set("Content-Type", tc.contentType)
			if tc.site != "" {
				r.Header.Set("Sec-Fetch-Site", tc.site)
			}
			if got := do(t, false, r); got.status != tc.want {
				t.Errorf("%d, want %d", got.status, tc.want)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	got := do(t, false, request(t, http.MethodGet, "http://"+serve(t)+"/")).header
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Get(name), want)
		}
	}
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"} {
		if !strings.Contains(got.Get("Content-Security-Policy"), part) {
			t.Errorf("the policy %q lacks %q", got.Get("Content-Security-Policy"), part)
		}
	}
}

// TestBothProtocols: one port speaks HTTP/1.1 and HTTP/2.
func TestBothProtocols(t *testing.T) {
	t.Parallel()
	address := serve(t)
	for http2, want := range map[bool]string{false: "call HTTP/1.1", true: "call HTTP/2.0"} {
		if got := do(t, http2, request(t, http.MethodPost, "http://"+address+"/service/Call")).body; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestRequestThatDoesNotEnd: a client that begins a request and does not end it is cut off.
func TestRequestThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	address := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: local"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); errors.Is(err, context.DeadlineExceeded) || strings.Contains(line, "200") {
		t.Errorf("%q, %v", line, err)
	}
}

// TestClientThatDoesNotReadIsEnded, so that it does not keep the place of another one: by either
// protocol.
func TestClientThatDoesNotReadIsEnded(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		ended := make(chan struct{})
		endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			piece := make([]byte, 64<<10)
			for {
				if _, err := w.Write(piece); err != nil {
					close(ended)
					return
				}
			}
		})
		s := admin.NewServer(admin.Options{Page: endless, WriteTimeout: 100 * time.Millisecond})
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(listener) }()
		var protocols http.Protocols
		protocols.SetHTTP1(!http2)
		protocols.SetUnencryptedHTTP2(http2)
		transport := &http.Transport{Protocols: &protocols}
		response, err := transport.RoundTrip(request(t, http.MethodGet, "http://"+listener.Addr().String()+"/"))
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Errorf("HTTP/2 %t: the handler still writes", http2)
		}
		_ = response.Body.Close()
		transport.CloseIdleConnections()
		if err := errors.Join(s.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}
}
