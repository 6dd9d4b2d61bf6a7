package rabbitmq_test

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig/tlstest"
)

// addUser makes a user with the rights of docs/configuration.md, Rights in RabbitMQ.
func addUser(t testing.TB, n *rabbitmqtest.Node, name, read string) {
	t.Helper()
	n.Do(t, http.MethodPut, "/api/users/"+name, map[string]any{"password": "secret", "tags": "management"})
	n.Do(t, http.MethodPut, "/api/permissions/%2F/"+name, map[string]any{"configure": "^$", "write": "^$", "read": read})
}

// TestRights: the least rights suffice on each version, and a queue that they do not cover is denied
// where the version checks them.
func TestRights(t *testing.T) {
	t.Parallel()
	for _, version := range rabbitmqtest.Versions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			n := node(t, version)
			client := n.NewClient(t)
			user := queueName("scaler")
			mine, theirs := queueName("mine"), queueName("theirs")
			addUser(t, n, user, "^mine-")
			source := open(t, n, map[string]any{"username": user, "password": backlog.NewSecret("secret")})
			for _, queue := range []string{mine, theirs} {
				client.Declare(t, queue, "quorum", nil)
				client.Publish(t, queue, 2)
			}
			client.Take(t, mine, 1)
			await(t, source, query(mine), "1 ready, 1 in flight", func(r backlog.Reading) bool { return r.Ready == 1 && r.InFlight == backlog.Exactly(1) })
			r := backlogtest.Read(t, source, query(theirs))[0]
			if checks := version == "4.3"; checks != errors.Is(r.Err, backlog.ErrDenied) || !checks && (r.Err != nil || r.Reading.Ready != 2) {
				t.Errorf("%s: a queue without rights reads as %+v", version, r)
			}
			if _, change := backlog.Advice(r.Err); r.Err != nil && !strings.Contains(change, "Rights in RabbitMQ") {
				t.Errorf("%v has the advice %q", r.Err, change)
			}
			// The queue next to it is read even so.
			if r := backlogtest.Read(t, source, query(theirs), query(mine))[1]; r.Err != nil || r.Reading.Backlog() != 2 {
				t.Errorf("the queue next to it reads as %+v", r)
			}
		})
	}
}

// probe verifies a connection as "scaler check" does.
func probe(t *testing.T, source backlog.Source) error {
	t.Helper()
	prober, ok := source.(backlog.Prober)
	if !ok {
		t.Fatalf("%T does not verify its connection", source)
	}
	return prober.Probe(t.Context())
}

// TestFirstContact has settings that do not fit the server: each has an error of the right kind with
// what to change, and no secret.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	certificates := tlstest.New(t, t.TempDir(), "scaler")
	server := rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], 1, certificates)
	n := server.Nodes[0]
	addUser(t, n, "scaler", ".*")
	n.NewClient(t).Declare(t, "jobs", "classic", nil)
	secure := map[string]any{"tls": true, "tlsCAFile": certificates.CA, "tlsCertFile": certificates.Cert, "tlsKeyFile": certificates.Key}
	external := map[string]any{"sasl": "external", "username": nil, "password": nil, "managementUsername": "scaler", "managementPassword": backlog.NewSecret("secret")}
	with := func(base, more map[string]any) map[string]any {
		all := map[string]any{}
		maps.Copy(all, base)
		maps.Copy(all, more)
		return all
	}
	closed := backlogtest.FreeAddress(t)
	for name, c := range map[string]struct {
		address      string
		more         map[string]any
		want         error
		text, change string
	}{
		"plain":               {address: n.Address},
		"tls":                 {address: n.TLSAddress, more: secure},
		"external":            {address: n.TLSAddress, more: with(secure, external)},
		"wrong password":      {n.Address, map[string]any{"password": backlog.NewSecret("hunter2")}, backlog.ErrDenied, "refuses the username or password", "username and password"},
		"wrong vhost":         {n.Address, map[string]any{"vhost": "nowhere"}, backlog.ErrDenied, "nowhere", "vhost:"},
		"no external":         {n.TLSAddress, with(with(secure, external), map[string]any{"tlsCertFile": nil, "tlsKeyFile": nil}), backlog.ErrUnavailable, "", "tlsCertFile and tlsKeyFile"},
		"speaks tls":          {n.TLSAddress, nil, backlog.ErrUnavailable, "speaks TLS", "tls: true"},
		"speaks plainly":      {n.Address, secure, backlog.ErrUnavailable, "does not speak TLS", "tls: false"},
		"speaks http":         {strings.TrimPrefix(n.Management, "http://"), nil, backlog.ErrUnavailable, "EOF", "no RabbitMQ"},
		"nothing there":       {closed, nil, backlog.ErrUnavailable, "refused", "nothing listens there"},
		"unknown authority":   {n.TLSAddress, with(secure, map[string]any{"tlsCAFile": nil}), backlog.ErrUnavailable, "certificate", "tlsCAFile"},
		"management password": {n.Address, map[string]any{"managementUsername": "scaler", "managementPassword": backlog.NewSecret("hunter2")}, backlog.ErrDenied, "401", "managementUsername and managementPassword"},
		"management is amqp":  {n.Address, map[string]any{"managementURL": "http://" + n.Address}, backlog.ErrUnavailable, "HTTP", "managementURL:"},
		"management path":     {n.Address, map[string]any{"managementURL": n.Management + "/elsewhere"}, backlog.ErrMismatch, "400", "managementURL:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := backlogtest.Open(t, rabbitmq.Engine(), settings(n, c.address, c.more))
			if c.want == nil {
				await(t, source, query("jobs"), "0", func(r backlog.Reading) bool { return r.Backlog() == 0 && !r.Missing })
				if err := probe(t, source); err != nil {
					t.Error(err)
				}
				return
			}
			r := backlogtest.Read(t, source, query("jobs"))[0]
			text, change := backlog.Advice(r.Err)
			if !errors.Is(r.Err, c.want) || !strings.Contains(text, c.text) || !strings.Contains(change, c.change) {
				t.Errorf("got %q (change: %q), want %v with %q and %q", text, change, c.want, c.text, c.change)
			}
			if r.Err != nil && strings.Contains(r.Err.Error(), "hunter2") {
				t.Errorf("the error has the secret: %v", r.Err)
			}
			if err := probe(t, source); !errors.Is(err, c.want) {
				t.Errorf("the probe returns %v, want %v", err, c.want)
			}
		})
	}
}

// TestSeveralAddresses: the connection goes to an address that answers.
func TestSeveralAddresses(t *testing.T) {
	t.Parallel()
	n := latest(t)
	first, second := backlogtest.NewProxy(t, n.Address), backlogtest.NewProxy(t, n.Address)
	client := n.NewClient(t)
	q := query(queueName("addresses"))
	client.Declare(t, q.Queue, "classic", nil)
	client.Publish(t, q.Queue, 1)
	source := open(t, n, map[string]any{"addresses": []string{first.Addr(), second.Addr()}})
	for range 2 {
		for _, proxy := range []*backlogtest.Proxy{first, second} {
			proxy.Refuse()
			rabbitmqtest.Eventually(t, "the other address answers", func() bool {
				r := backlogtest.ReadOnce(t, source, q)[0]
				return r.Err == nil && r.Reading.Ready == 1
			})
			proxy.Restore()
		}
	}
	if first.Connections()+second.Connections() > 1 {
		rabbitmqtest.Eventually(t, "one connection is left", func() bool { return first.Connections()+second.Connections() == 1 })
	}
}

// TestForeignServers are servers that answer as others do than RabbitMQ.
func TestForeignServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ says, text, change string }{
		"http":       {"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP", "5672"},
		"amqp 1.0":   {"AMQP\x00\x01\x00\x00", "another version of AMQP", "AMQP 0-9-1"},
		"tls alert":  {"\x15\x03\x01\x00\x02\x02\x16", "speaks TLS", "tls: true"},
		"redis":      {"-ERR unknown command\r\n", "", ""},
		"huge frame": {"\x01\x00\x00\xff\xff\xff\xff", "", ""},
		"nothing":    {"", "EOF", "no RabbitMQ"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // lives as long as the test
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			t.Cleanup(func() { _ = listener.Close(); <-done })
			go func() {
				defer close(done)
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					var header [8]byte
					_, _ = conn.Read(header[:])
					_, _ = conn.Write([]byte(c.says))
					_ = conn.Close()
				}
			}()
			address := listener.Addr().String()
			values := map[string]any{"addresses": []string{address}, "username": "u", "password": backlog.NewSecret("hunter2"), "managementURL": "http://" + address}
			source := backlogtest.Open(t, rabbitmq.Engine(), backlog.Connection{Name: "rabbit", Settings: backlog.NewSettings(values)})
			r := backlogtest.ReadOnce(t, source, query("jobs"))[0]
			text, change := backlog.Advice(r.Err)
			if !errors.Is(r.Err, backlog.ErrUnavailable) || !strings.Contains(text, c.text) || !strings.Contains(change, c.change) {
				t.Errorf("got %q (change: %q), want %q and %q", text, change, c.text, c.change)
			}
		})
	}
}
