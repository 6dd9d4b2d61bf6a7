package rabbitmq_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig/tlstest"
)

// TestStreamFirstContact has settings that do not fit the server: each has an error of the right kind with
// what to change, and no secret.
func TestStreamFirstContact(t *testing.T) {
	t.Parallel()
	certificates := tlstest.New(t, t.TempDir(), "scaler")
	n := rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], 1, certificates).Nodes[0]
	addUser(t, n, "scaler", ".*")
	client := newStreamClient(t, n)
	client.declare(t, "orders", nil)
	client.publish(t, "orders", 2, 10)
	secure := map[string]any{"tls": true, "tlsCAFile": certificates.CA, "tlsCertFile": certificates.Cert, "tlsKeyFile": certificates.Key}
	external := map[string]any{"sasl": "external", "username": nil, "password": nil, "managementUsername": "scaler", "managementPassword": backlog.NewSecret("secret")}
	maps.Copy(external, secure)
	closed := backlogtest.FreeAddress(t)
	for name, c := range map[string]struct {
		address      string
		more         map[string]any
		want         error
		text, change string
	}{
		"plain":             {address: n.Stream},
		"tls":               {address: n.StreamTLS, more: secure},
		"external":          {address: n.StreamTLS, more: external},
		"wrong password":    {n.Stream, map[string]any{"password": backlog.NewSecret("hunter2")}, backlog.ErrDenied, "refuses the username or password", "username and password"},
		"wrong vhost":       {n.Stream, map[string]any{"vhost": "nowhere"}, backlog.ErrDenied, "virtual host", "vhost:"},
		"speaks amqp":       {n.Address, nil, backlog.ErrUnavailable, "", "streamAddresses: the "},
		"speaks http":       {strings.TrimPrefix(n.Management, "http://"), nil, backlog.ErrUnavailable, "", "streamAddresses: the "},
		"speaks tls":        {n.StreamTLS, nil, backlog.ErrUnavailable, "speaks TLS", "tls: true"},
		"speaks plainly":    {n.Stream, secure, backlog.ErrUnavailable, "TLS", "tls: false"},
		"nothing there":     {closed, nil, backlog.ErrUnavailable, "refused", "the plugin rabbitmq_stream"},
		"unknown authority": {n.StreamTLS, map[string]any{"tls": true, "tlsCertFile": certificates.Cert, "tlsKeyFile": certificates.Key}, backlog.ErrUnavailable, "certificate", "tlsCAFile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			more := map[string]any{"streamAddresses": []string{c.address}}
			maps.Copy(more, c.more)
			source := backlogtest.Open(t, rabbitmq.Engine(), settings(n, n.Address, more))
			q := streamQuery("orders", "worker")
			if c.want == nil {
				await(t, source, q, "2", func(r backlog.Reading) bool { return r.Ready == 2 })
				if name == "plain" {
					if err := probe(t, source); err != nil {
						t.Error(err)
					}
				}
				return
			}
			r := backlogtest.Read(t, source, q)[0]
			text, change := backlog.Advice(r.Err)
			if !errors.Is(r.Err, c.want) || !strings.Contains(text, c.text) || !strings.Contains(change, c.change) {
				t.Errorf("got %q (change: %q), want %v with %q and %q", text, change, c.want, c.text, c.change)
			}
			if r.Err != nil && strings.Contains(r.Err.Error(), "hunter2") {
				t.Errorf("the error has the secret: %v", r.Err)
			}
			if err := probe(t, source); err == nil {
				t.Error("the probe succeeds")
			}
		})
	}
}

// TestStreamRights: the right to read a stream suffices, and a stream without it is denied while that
// next to it is read.
func TestStreamRights(t *testing.T) {
	t.Parallel()
	for _, version := range streamVersions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			n := node(t, version)
			client := newStreamClient(t, n)
			user, mine, theirs := queueName("streamer"), queueName("readable"), queueName("hidden")
			addUser(t, n, user, "^readable-")
			source := openStreams(t, n, map[string]any{"username": user, "password": backlog.NewSecret("secret")})
			for _, name := range []string{mine, theirs} {
				client.declare(t, name, nil)
				client.publish(t, name, 4, 10)
				client.process(t, name, "worker", 1)
			}
			results := backlogtest.Read(t, source, streamQuery(theirs, "worker"), streamQuery(mine, "worker"))
			if _, change := backlog.Advice(results[0].Err); !errors.Is(results[0].Err, backlog.ErrDenied) || !strings.Contains(change, "Rights in RabbitMQ") {
				t.Errorf("a stream without rights reads as %+v", results[0])
			}
			if r := results[1]; r.Err != nil || r.Reading.Ready != 3 {
				t.Errorf("the stream next to it reads as %+v", r)
			}
		})
	}
}

// TestStreamSettings: what a trigger needs of its connection is said before a server is asked.
func TestStreamSettings(t *testing.T) {
	t.Parallel()
	layout, _ := rabbitmq.Engine().Layout("stream")
	with := backlog.NewSettings(map[string]any{"streamAddresses": []string{"localhost:5552"}})
	for name, c := range map[string]struct {
		settings backlog.Settings
		query    backlog.Query
		want     string
	}{
		"good":         {with, streamQuery("orders", "worker"), ""},
		"no addresses": {backlog.NewSettings(nil), streamQuery("orders", "worker"), "streamAddresses"},
		"pattern":      {with, streamQuery("orders-*", "worker"), "managementURL"},
		"no consumer":  {with, streamQuery("orders", ""), "consumer"},
		"long name":    {with, streamQuery("orders", strings.Repeat("x", 256)), "at most 255"},
	} {
		err := errors.Join(layout.Check(c.query), layout.CheckOn(c.settings, c.query))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if testing.Short() {
		return
	}
	source := open(t, latest(t), nil)
	r := backlogtest.Read(t, source, streamQuery("orders", "worker"))[0]
	if _, change := backlog.Advice(r.Err); !errors.Is(r.Err, backlog.ErrMismatch) || !strings.Contains(change, "streamAddresses") {
		t.Errorf("without addresses for streams a stream reads as %+v", r)
	}
}
