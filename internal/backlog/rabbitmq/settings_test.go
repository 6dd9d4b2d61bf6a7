package rabbitmq

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/tap"
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

// TestCheckTap has parameters that do not go together.
func TestCheckTap(t *testing.T) {
	t.Parallel()
	allowed := backlog.NewSettings(map[string]any{tap.SettingAllow: true, "managementURL": "http://rabbitmq:15672"})
	for name, c := range map[string]struct {
		params   map[string]string
		settings backlog.Settings
		want     string
	}{
		"poll":                   {params: map[string]string{"wakeUp": "poll"}},
		"tap":                    {params: map[string]string{"wakeUp": "tap", "exchange": "orders", "routingKeys": "a,b"}, settings: allowed},
		"fanout":                 {params: map[string]string{"wakeUp": "tap", "exchange": "orders"}, settings: allowed},
		"not allowed":            {map[string]string{"wakeUp": "tap", "exchange": "orders"}, backlog.Settings{}, "wakeUp: tap needs allowTap: true in the settings of the connection"},
		"no exchange":            {map[string]string{"wakeUp": "tap"}, allowed, "exchange: required with wakeUp: tap; the default exchange cannot be tapped"},
		"default exchange":       {map[string]string{"wakeUp": "tap", "exchange": "amq.default"}, allowed, "is the default exchange, which cannot be tapped"},
		"exchange without a tap": {map[string]string{"exchange": "orders"}, allowed, "exchange, routingKeys: only with wakeUp: tap"},
		"keys without a tap":     {map[string]string{"wakeUp": "poll", "routingKeys": "a"}, allowed, "exchange, routingKeys: only with wakeUp: tap"},
		"many keys":              {map[string]string{"wakeUp": "tap", "exchange": "orders", "routingKeys": "1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h"}, allowed, "routingKeys: 17 keys, want at most 16"},
		"a long key":             {map[string]string{"wakeUp": "tap", "exchange": "orders", "routingKeys": strings.Repeat("k", 256)}, allowed, "want keys of at most 255 bytes"},
		"a long exchange":        {map[string]string{"wakeUp": "tap", "exchange": strings.Repeat("x", 256)}, allowed, "want at most 255"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layout := Engine().Layouts[0]
			q := backlog.Query{Layout: layoutQueue, Queue: "invoices", Params: backlog.NewParams(c.params)}
			err := layout.Check(q)
			if err == nil {
				err = layout.CheckOn(c.settings, q)
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	unmanaged := backlog.NewSettings(map[string]any{"addresses": []string{"rabbitmq:5672"}, "username": "u", "password": backlog.NewSecret("p"), tap.SettingAllow: true})
	if err := Engine().Check(unmanaged); err == nil || !strings.Contains(err.Error(), "allowTap: needs a managementURL") {
		t.Errorf("taps without a management API: %v", err)
	}
}
