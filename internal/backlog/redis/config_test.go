package redis

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	one := []string{"127.0.0.1:6379"}
	secret := backlog.NewSecret("secret")
	for name, c := range map[string]struct {
		values map[string]any
		want   []string // none is no error
	}{
		"smallest":                 {map[string]any{"addresses": one}, nil},
		"sentinel":                 {map[string]any{"addresses": one, "mode": "sentinel", "masterName": "m", "sentinelUsername": "u", "sentinelPassword": secret}, nil},
		"cluster":                  {map[string]any{"addresses": one, "mode": "cluster", "username": "u", "password": secret}, nil},
		"no address":               {map[string]any{}, []string{"addresses"}},
		"two addresses":            {map[string]any{"addresses": []string{"a:1", "b:1"}}, []string{"addresses"}},
		"sentinel without a name":  {map[string]any{"addresses": one, "mode": "sentinel"}, []string{"masterName"}},
		"name without sentinel":    {map[string]any{"addresses": one, "masterName": "m"}, []string{"masterName"}},
		"login without sentinel":   {map[string]any{"addresses": one, "sentinelPassword": secret}, []string{"sentinelPassword"}},
		"cluster with a database":  {map[string]any{"addresses": one, "mode": "cluster", "database": int64(2)}, []string{"database"}},
		"user without password":    {map[string]any{"addresses": one, "username": "u"}, []string{"username"}},
		"certificate without key":  {map[string]any{"addresses": one, "tls": true, "tlsCertFile": backlog.File{Path: "c"}}, []string{"tlsKeyFile"}},
		"certificates without tls": {map[string]any{"addresses": one, "tlsCAFile": backlog.File{Path: "c"}}, []string{"tls:"}},
		"authority that is none":   {map[string]any{"addresses": one, "tls": true, "tlsCAFile": backlog.File{Path: "ca.pem", Data: []byte("x")}}, []string{"tlsCAFile", "ca.pem"}},
		"key that is none":         {map[string]any{"addresses": one, "tls": true, "tlsCertFile": backlog.File{Path: "c.pem"}, "tlsKeyFile": backlog.File{Path: "k.pem"}}, []string{"c.pem", "k.pem"}},
		"all faults at once":       {map[string]any{"mode": "sentinel", "username": "u"}, []string{"addresses", "masterName", "username"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection := backlog.Connection{Name: "orders", Settings: backlog.NewSettings(c.values)}
			err := Engine().Check(connection.Settings)
			if (err == nil) != (len(c.want) == 0) {
				t.Fatalf("error %v, want %q in it", err, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %v, want %q in it", err, part)
				}
			}
			if err == nil {
				return
			}
			if _, err := Engine().Open(t.Context(), connection, nil); err == nil || !strings.Contains(err.Error(), "orders") {
				t.Errorf("open: %v", err)
			}
		})
	}
}

// TestEngineIsComplete: what the documentation is made of is there, and defaults are
// values that their own parameter accepts.
func TestEngineIsComplete(t *testing.T) {
	t.Parallel()
	e := Engine()
	parameters := append([]backlog.Parameter(nil), e.Settings...)
	for _, l := range e.Layouts {
		if l.Name == "" || l.Summary == "" || l.Queue == "" || l.Ready == "" {
			t.Errorf("layout %q is not described", l.Name)
		}
		parameters = append(parameters, l.Parameters...)
	}
	for _, p := range parameters {
		if !strings.HasSuffix(p.Doc, ".") {
			t.Errorf("parameter %q is not described by a sentence", p.Name)
		}
		if p.Default != "" {
			if _, err := p.Parse(p.Default); err != nil {
				t.Errorf("parameter %q does not accept its default %q: %v", p.Name, p.Default, err)
			}
		}
	}
}
