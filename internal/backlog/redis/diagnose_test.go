package redis_test

import (
	"context"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A firstContact is a connection whose settings do not fit the server.
type firstContact struct {
	addresses []string
	settings  map[string]any
	query     backlog.Query
	// says is in the error, and change in what it says to change.
	says, change string
}

// meet reads a queue of c and holds the error to what it should say.
func (c firstContact) meet(t *testing.T) {
	t.Helper()
	source := backlogtest.Open(t, redis.Engine(), layouttest.Connection(c.addresses, c.settings))
	if c.query.Layout == "" {
		c.query = list("jobs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r := source.Read(ctx, []backlog.Query{c.query}, nil)[0]
	for r.Pending && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
		r = source.Read(ctx, []backlog.Query{c.query}, nil)[0]
	}
	if r.Err == nil {
		t.Fatalf("reads as %+v, want an error", r.Reading)
	}
	text, change := backlog.Advice(r.Err)
	if !strings.Contains(text, c.says) || !strings.HasPrefix(change, c.change) || c.change == "" && change != "" {
		t.Errorf("error %q\nchange %q\nwant %q\nand %q", text, change, c.says, c.change)
	}
	if strings.Contains(text, "hunter2") || strings.Contains(text, "use of closed") || strings.Contains(text, "; change:") {
		t.Errorf("error %q", text)
	}
	if want := text + "; change: " + change; r.Err.Error() != want {
		t.Errorf("error %q, want %q", r.Err, want)
	}
}

// withSettings returns settings and more.
func withSettings(settings, more map[string]any) map[string]any {
	all := maps.Clone(settings)
	maps.Copy(all, more)
	return all
}

// TestFirstContactTLS: a TLS port without tls, and the reverse, on the connections to a
// single server, to sentinels and to a cluster.
func TestFirstContactTLS(t *testing.T) {
	t.Parallel()
	plain := redistest.Start(t)
	secure, good := secured(t)
	modes := map[string]map[string]any{
		"standalone": {},
		"sentinel":   {"mode": "sentinel", "masterName": "main"},
		"cluster":    {"mode": "cluster"},
	}
	for mode, settings := range modes {
		for name, c := range map[string]firstContact{
			"TLS port without tls": {
				addresses: []string{secure.Addr()}, settings: settings,
				says: "the server speaks TLS", change: "tls: true",
			},
			"plain port with tls": {
				addresses: []string{plain.Addr()}, settings: withSettings(good, settings),
				says: "the server does not speak TLS", change: "tls: false",
			},
			"TLS port without client certificate": {
				addresses: []string{secure.Addr()}, settings: withSettings(settings, map[string]any{"tls": true, "tlsCAFile": good["tlsCAFile"]}),
				says: "certificate", change: "tlsCertFile and tlsKeyFile",
			},
			"TLS port of an unknown authority": {
				addresses: []string{secure.Addr()}, settings: withSettings(settings, map[string]any{"tls": true}),
				says: "certificate", change: "tlsCAFile",
			},
			"TLS port of another name": {
				addresses: []string{secure.Addr()}, settings: withSettings(good, withSettings(settings, map[string]any{"tlsServerName": "elsewhere.example"})),
				says: "elsewhere.example", change: "tlsServerName",
			},
		} {
			t.Run(mode+"/"+name, func(t *testing.T) {
				t.Parallel()
				c.meet(t)
			})
		}
	}
}

// TestFirstContactKinds: a server of another kind than the settings say is named, and
// never read in part.
func TestFirstContactKinds(t *testing.T) {
	t.Parallel()
	single := redistest.Start(t)
	group := redistest.StartSentinel(t)
	cluster := redistest.StartCluster(t, 3, 0)
	foreign := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(foreign.Close)
	foreignTLS := httptest.NewUnstartedServer(http.NotFoundHandler())
	foreignTLS.Config.ErrorLog = log.New(io.Discard, "", 0)
	foreignTLS.StartTLS()
	t.Cleanup(foreignTLS.Close)
	sentinel := map[string]any{"mode": "sentinel", "masterName": "main"}
	for name, c := range map[string]firstContact{
		"Sentinel port as a single server": {addresses: group.Addrs()[:1], says: "the server is a sentinel", change: "mode: sentinel"},
		"Sentinel port as a cluster": {
			addresses: group.Addrs(), settings: map[string]any{"mode": "cluster"},
			says: "the server is a sentinel", change: "mode: sentinel",
		},
		"single server as a sentinel":   {addresses: []string{single.Addr()}, settings: sentinel, says: "the server is no sentinel", change: "addresses: those of the sentinels"},
		"cluster node as a sentinel":    {addresses: cluster.Addrs()[:1], settings: sentinel, says: "the server is no sentinel", change: "addresses: those of the sentinels"},
		"master group of another name":  {addresses: group.Addrs(), settings: sentinel, says: `it knows no master "main"`, change: "masterName"},
		"cluster node as single server": {addresses: cluster.Addrs()[:1], says: "the server is a node of a cluster of 3 masters", change: "mode: cluster"},
		"cluster node as single server, pattern": {
			addresses: cluster.Addrs()[:1], query: list("job*"),
			says: "the server is a node of a cluster of 3 masters", change: "mode: cluster",
		},
		"cluster node that does not say of what cluster": {
			addresses: []string{redistest.StartProxy(t, cluster.Addrs()[0], map[string]string{"CLUSTER": "ERR unsupported"}).Addr()},
			says:      "refuses to say of how many masters", change: "mode: cluster",
		},
		"single server as a cluster": {
			addresses: []string{single.Addr()}, settings: map[string]any{"mode": "cluster"},
			says: "cluster support disabled", change: "mode: standalone",
		},
		"database of a cluster node": {
			addresses: cluster.Addrs()[:1], settings: map[string]any{"database": int64(1)},
			says: "SELECT is not allowed in cluster mode", change: "mode: cluster, and no database",
		},
		"database that is not there": {
			addresses: []string{single.Addr()}, settings: map[string]any{"database": int64(99)},
			says: "out of range", change: "database",
		},
		"HTTP server":           {addresses: []string{foreign.Listener.Addr().String()}, says: "an HTTP server answers", change: "addresses"},
		"HTTP server with tls":  {addresses: []string{foreign.Listener.Addr().String()}, settings: map[string]any{"tls": true}, says: "an HTTP server answers", change: "addresses"},
		"HTTPS server":          {addresses: []string{foreignTLS.Listener.Addr().String()}, says: "the server speaks TLS", change: "tls: true"},
		"HTTPS server with tls": {addresses: []string{foreignTLS.Listener.Addr().String()}, settings: map[string]any{"tls": true, "tlsInsecureSkipVerify": true}, says: "HTTP/", change: "addresses"},
		"nothing listens":       {addresses: []string{"127.0.0.1:1"}, says: "connection refused", change: "addresses, or start the server"},
		"name without address":  {addresses: []string{"no-such-host.invalid:6379"}, says: "no-such-host.invalid", change: `addresses: the name "no-such-host.invalid" does not resolve`},
		"server that hangs up":  {addresses: []string{hangsUp(t)}, says: "EOF", change: "addresses: the server ends the connection"},
		"server that is silent": {addresses: []string{silent(t)}, settings: map[string]any{"answerTimeout": 200 * time.Millisecond}, says: "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.change == "" {
				source := backlogtest.Open(t, redis.Engine(), layouttest.Connection(c.addresses, c.settings))
				if r := backlogtest.Read(t, source, list("jobs"))[0]; r.Err == nil || !strings.Contains(r.Err.Error(), c.says) {
					t.Errorf("%+v, want %q", r, c.says)
				}
				return
			}
			c.meet(t)
		})
	}
}

// hangsUp returns the address of a server that reads and ends the connection.
func hangsUp(t *testing.T) string {
	t.Helper()
	return serve(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		if both, ok := c.(*net.TCPConn); ok {
			_ = both.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	})
}

// silent returns the address of a server that never answers.
func silent(t *testing.T) string {
	t.Helper()
	return serve(t, func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	})
}

// serve calls handle for each connection, which must end when its other end does.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a server of the tests
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// TestFirstContactLogin: what a server says of a login is answered with the settings that
// it concerns, on every version.
func TestFirstContactLogin(t *testing.T) {
	t.Parallel()
	layouttest.EachServer(t, func(t *testing.T, v redistest.Version, server *redistest.Server) {
		t.Helper()
		_ = v
		server.Do("ACL", "SETUSER", "few", "on", ">hunter2", "~mine:*", "+info", "+client", "+select", "+ping")
		server.Do("CONFIG", "SET", "requirepass", "hunter2")
		secret := backlog.NewSecret("hunter2")
		for name, c := range map[string]firstContact{
			"no password":        {says: "NOAUTH", change: "password: the server requires one"},
			"wrong password":     {settings: map[string]any{"password": backlog.NewSecret("other")}, says: "WRONGPASS", change: "username and password"},
			"unknown user":       {settings: map[string]any{"username": "none", "password": secret}, says: "WRONGPASS", change: "username and password"},
			"user of few rights": {settings: map[string]any{"username": "few", "password": secret}, says: "NOPERM", change: "the rights of the user"},
		} {
			c.addresses = []string{server.Addr()}
			t.Run(name, c.meet)
		}
	})
}

// TestFirstContactOldServer: what is too old is named with its version and the version that
// is needed.
func TestFirstContactOldServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr(), map[string]string{
		"XINFO": "ERR unknown command 'XINFO'", "CLIENT TRACKING": "ERR Unknown subcommand", "SCAN": "ERR syntax error",
	})
	proxy.Replace("redis_version:", "redis_version:4.0.14\r\nreal:")
	firstContact{
		addresses: []string{proxy.Addr()}, query: stream("orders", "billing"),
		says: "unknown command 'XINFO'", change: "the server: it is redis 4.0.14, and 6.0 is needed",
	}.meet(t)
	firstContact{
		addresses: []string{proxy.Addr()}, query: list("job*"),
		says: "syntax error", change: "the server: it is redis 4.0.14, and 6.0 is needed",
	}.meet(t)
	source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, nil))
	redistest.Eventually(t, "the reason says what is needed", func() bool {
		return strings.Contains(source.Status().WakeUpReason, "client tracking: Redis 4.0.14: 6.0 is needed")
	})
}

// TestOutageIsNoFirstContact: a server that worked is not taken for wrong settings when it
// is gone.
func TestOutageIsNoFirstContact(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	backlogtest.MustRead(t, source, list("jobs"))
	server.Kill()
	r := backlogtest.Read(t, source, list("jobs"))[0]
	if _, change := backlog.Advice(r.Err); r.Err == nil || change != "" {
		t.Errorf("error %v, change %q, want none", r.Err, change)
	}
}
