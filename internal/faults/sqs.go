package faults

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
)

// sqsServer is a server that speaks the protocol of SQS. It keeps its data in memory.
func sqsServer(t testing.TB) *Subject {
	t.Helper()
	rights := []string{"sqs:GetQueueAttributes", "sqs:GetQueueUrl"}
	server := sqstest.Start(t)
	proxy := backlogtest.NewProxy(t, server.Addr())
	key, workers := server.User(t, user, rights...), server.User(t, "workers", "sqs:*")
	server.Authenticate(t, true)
	client := server.NewClientOf(workers)
	client.Create(t, "jobs", nil)
	// What the configuration has; a key that is renewed is there later.
	file, configured := t.TempDir()+"/secret", key.ID
	replace(t, file, key.Secret)
	return &Subject{
		Title: "moto, as SQS",
		Connection: func() []string {
			return []string{
				"region: " + sqstest.Region, "endpoint: 'http://" + proxy.Addr() + "'", "accessKeyID: " + configured, "secretAccessKey: {file: " + file + "}",
				// A fraction of the defaults, so that a run takes minutes.
				"callsPerMinute: 100000", "activePoll: 250ms", "idlePoll: 500ms", "emptyFor: 1s",
			}
		},
		Metadata: map[string]string{"queue": "jobs"},
		Put: func(t testing.TB, n int) {
			t.Helper()
			client.Send(t, "jobs", n, 0)
		},
		Proxies: []*backlogtest.Proxy{proxy},
		Garbage: httpGarbage,
		Causes: map[Fault]Cause{
			Frozen: frozen(func() freezer { return server }),
			Emptied: emptied(func(t testing.TB) {
				t.Helper()
				server.Kill()
				server.Restart(t)
				client.Create(t, "jobs", nil)
			}, proxy),
			Password: func(t testing.TB) func() {
				t.Helper()
				key = server.Renew(t, user, key)
				return func() {
					configured = key.ID
					replace(t, file, key.Secret)
				}
			},
			Permission: func(t testing.TB) func() {
				t.Helper()
				server.Revoke(t, user)
				return func() { server.Grant(t, user, rights...) }
			},
		},
	}
}
