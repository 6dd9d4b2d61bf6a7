package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// network is an engine with a setting of addresses.
func network() []backlog.Engine {
	return []backlog.Engine{{Name: "network", Settings: []backlog.Parameter{
		{Name: "addresses", Kind: backlog.KindAddresses, Required: true},
		{Name: "name", Kind: backlog.KindText},
		{Name: "list", Kind: backlog.KindList},
		{Name: "choice", Kind: backlog.KindChoice, Allowed: []string{"one", "two"}},
		{Name: "number", Kind: backlog.KindInteger},
		{Name: "duration", Kind: backlog.KindDuration},
		{Name: "file", Kind: backlog.KindFile},
		{Name: "secret", Kind: backlog.KindSecret},
	}}}
}

func parseAddresses(text string) (*Config, error) {
	data := "connections: {a: {engine: network, namespaces: [a], addresses: " + text + "}}\n"
	return Parse([]byte(data), network(), readFrom(nil), envFrom(nil))
}

// TestAddresses: an address is host:port, as a list or as one text.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`["redis:6379", "[::1]:6380"]`: {"redis:6379", "[::1]:6380"},
		`redis:6379`:                   {"redis:6379"},
		`"redis:6379, other:6380"`:     {"redis:6379", "other:6380"},
	} {
		config, err := parseAddresses(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, config.Connections[0].Settings.List("addresses")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	const want = `want "host:port", with an IPv6 address in brackets and a port from 1 to 65535`
	for text, fault := range map[string]string{
		`["h"]`:             `1:65: connections.a.addresses: got "h", ` + want,
		`["ok:1", "h:0"]`:   `1:73: connections.a.addresses: got "h:0", ` + want,
		`h`:                 `1:64: connections.a.addresses: got "h", ` + want,
		`"/tmp/redis.sock"`: `1:64: connections.a.addresses: got "/tmp/redis.sock", ` + want,
		`["rediss://:s3cret@host:6379/1"]`: `1:65: connections.a.addresses: is a URL, ` + want +
			`: write addresses: ["host:6379"], tls: true, password: {file: PATH}, database: 1`,
		`"redis://:s3,cret@host:6379"`: `1:64: connections.a.addresses: is a URL, ` + want + `: write addresses: ["host:6379"], password: {file: PATH}`,
		`"host:6379,password=s3cret"`:  `1:64: connections.a.addresses: ` + want,
	} {
		_, err := parseAddresses(text)
		if err == nil || err.Error() != fault {
			t.Errorf("%s: error\n%v, want\n%s", text, err, fault)
		}
	}
}

// TestNoUserInformationInFaults writes credentials into every setting, in every way and at
// every place, and expects that no fault repeats them.
func TestNoUserInformationInFaults(t *testing.T) {
	t.Parallel()
	values := []string{
		"rediss://:canary@host:6379/1", "redis://user:canary@host", "redis://:my canary@host", "redis://:ca,canary@host", "redis://:'canary@host",
		"user:canary@host:6379", "host:6379,password=canary", "redis://host:6379/0?password=canary",
	}
	shapes := []string{"%s", "[%s]", "[ok:1, %s]", "{%s: a}", "{a: %s}", "{file: %s}", "{env: %s}", "[[%s]]", "{%s: {a: b}}"}
	keys := []string{"engine", "namespaces", "unknown"}
	for _, p := range network()[0].Settings {
		keys = append(keys, p.Name)
	}
	check := func(data string) {
		t.Helper()
		config, err := Parse([]byte(data), network(), readFrom(nil), envFrom(nil))
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s\nerror %v", data, err)
		}
		if err == nil && strings.Contains(data, "//") && strings.Contains(data, "@") && !strings.Contains(data, "list") {
			t.Errorf("%s\nis taken as %+v", data, config.Connections)
		}
	}
	for _, value := range values {
		quoted := fmt.Sprintf("%q", value)
		for _, shape := range shapes {
			text := strings.ReplaceAll(shape, "%s", quoted)
			for _, key := range keys {
				settings := map[string]string{"engine": "network", "namespaces": "[a]", "addresses": "[ok:1]", "number": "x"}
				settings[key] = text
				var lines strings.Builder
				for name, line := range settings {
					fmt.Fprintf(&lines, "    %s: %s\n", name, line)
				}
				check("connections:\n  a:\n" + lines.String())
			}
			check("connections: {a: " + text + "}\n")
			check("connections: " + text + "\n")
			check("connections: {}\nwatches: {a: {namespace: " + text + ", list: x}}\n")
			check("connections: {}\nwatches: {a: " + text + "}\n")
		}
		check("connections: {" + quoted + ": {engine: network, namespaces: [a], addresses: [a:1]}}\n")
		check(quoted + ": {}\n")
	}
}
