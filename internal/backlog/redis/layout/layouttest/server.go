package layouttest

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// Connection returns settings for addresses, changed by more. The bounds of connecting and
// of an answer are longer than a busy machine takes, and longer than those of any read.
func Connection(addresses []string, more map[string]any) backlog.Connection {
	values := map[string]any{"addresses": addresses, "dialTimeout": 5 * time.Minute, "answerTimeout": 5 * time.Minute}
	maps.Copy(values, more)
	return backlog.Connection{Name: "test", Engine: "redis", Settings: backlog.NewSettings(values)}
}

// OpenServer opens a source of one server.
func OpenServer(t testing.TB, s *redistest.Server, more map[string]any) backlog.Source {
	t.Helper()
	return backlogtest.Open(t, redis.Engine(), Connection([]string{s.Addr()}, more))
}

// User makes an ACL user "scaler" with the given rules and returns its settings.
func User(v redistest.Version, server *redistest.Server, keys string, rules ...string) map[string]any {
	if v.Before(7, 0) {
		keys = strings.ReplaceAll(keys, "%R~", "~")
	}
	all := strings.Join(append([]string{keys}, rules...), " ")
	if v.Before(6, 2) {
		all = withoutChannels(all)
	}
	command := []any{"ACL", "SETUSER", "scaler", "reset", "on", ">secret"}
	server.Do(append(command, Words(all)...)...)
	return map[string]any{"username": "scaler", "password": backlog.NewSecret("secret")}
}

// withoutChannels returns rules for Redis before 6.2, which has no rights to channels. Where
// rules take the channels away, the right to track is taken away.
func withoutChannels(rules string) string {
	var kept []string
	for word := range strings.FieldsSeq(strings.Replace(rules, "resetchannels", "", 1)) {
		switch {
		case word == "resetchannels":
			kept = append(kept, "-client", "+client|id", "+client|setname")
		case !strings.HasPrefix(word, "&"):
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}

// EachServer runs a test on each server there is.
func EachServer(t *testing.T, test func(*testing.T, redistest.Version, *redistest.Server)) {
	t.Helper()
	for _, v := range redistest.Versions(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			test(t, v, redistest.Start(t, redistest.WithVersion(v)))
		})
	}
}

// Words returns the words of a command as its arguments.
func Words(command string) []any {
	var list []any
	for word := range strings.FieldsSeq(command) {
		list = append(list, word)
	}
	return list
}
