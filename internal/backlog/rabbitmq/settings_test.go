package rabbitmq

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestSettings has settings that exclude each other.
func TestSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		more map[string]any
		want string
	}{
		"good":               {nil, ""},
		"no user":            {map[string]any{"username": "", "password": backlog.Secret{}}, "username: needed with sasl: plain"},
		"no password":        {map[string]any{"password": backlog.Secret{}}, "username: needs a password"},
		"external, no tls":   {map[string]any{"sasl": "external", "username": "", "password": backlog.Secret{}}, "needs tls: true"},
		"external user":      {map[string]any{"sasl": "external", "tls": true}, "not used with sasl: external"},
		"short interval":     {map[string]any{"managementInterval": time.Millisecond}, "at least 100ms"},
		"short heartbeat":    {map[string]any{"heartbeat": time.Millisecond}, "at least 1s"},
		"bad url":            {map[string]any{"managementURL": "rabbit:15672"}, "managementURL: "},
		"url with user":      {map[string]any{"managementURL": "http://u:hunter2@rabbit"}, "managementURL: holds user information"},
		"management alone":   {map[string]any{"managementURL": "", "managementUsername": "u", "managementPassword": backlog.NewSecret("p")}, "need a managementURL"},
		"half a login":       {map[string]any{"managementUsername": "u"}, "each needs the other"},
		"tls without switch": {map[string]any{"tlsServerName": "rabbit"}, "tls: must be true"},
		"long vhost":         {map[string]any{"vhost": strings.Repeat("v", 300)}, "at most 255"},
	} {
		values := map[string]any{"addresses": []string{"rabbit:5672"}, "username": "u", "password": backlog.NewSecret("p"), "managementURL": "http://rabbit:15672"}
		maps.Copy(values, c.more)
		err := check(backlog.NewSettings(values))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error has the secret: %v", name, err)
		}
	}
}

// TestPatternsNeedManagement: a trigger with a pattern is rejected where nothing lists the queues.
func TestPatternsNeedManagement(t *testing.T) {
	t.Parallel()
	for queue, want := range map[string]bool{"jobs": true, "a,b": true, "jobs-*": false, `jobs-\*`: true, "a,b?": false} {
		err := checkPatterns(backlog.NewSettings(nil), backlog.Query{Layout: layoutQueue, Queue: queue})
		if (err == nil) != want {
			t.Errorf("%q: %v", queue, err)
		}
	}
}
