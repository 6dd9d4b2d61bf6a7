package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// testEngines have a setting of every kind.
func testEngines() []backlog.Engine {
	return []backlog.Engine{
		{
			Name: "paper",
			Settings: []backlog.Parameter{
				{Name: "addresses", Kind: backlog.KindList, Required: true},
				{Name: "username", Kind: backlog.KindText},
				{Name: "password", Kind: backlog.KindSecret},
				{Name: "mode", Kind: backlog.KindChoice, Allowed: []string{"standalone", "cluster"}, Default: "standalone"},
				{Name: "database", Kind: backlog.KindInteger, Max: 15},
				{Name: "weight", Kind: backlog.KindNumber},
				{Name: "tls", Kind: backlog.KindBool},
				{Name: "tlsCAFile", Kind: backlog.KindFile},
				{Name: "timeout", Kind: backlog.KindDuration, Default: "2s"},
			},
			Check: func(s backlog.Settings) error {
				var errs []error
				if s.Text("mode") == "cluster" && s.Integer("database") != 0 {
					errs = append(errs, errors.New("a cluster has no databases"))
				}
				if len(s.File("tlsCAFile").Data) > 0 && !s.Bool("tls") {
					errs = append(errs, errors.New("tlsCAFile needs tls: true"))
				}
				return errors.Join(errs...)
			},
		},
		{Name: "stone", Settings: []backlog.Parameter{{Name: "token", Kind: backlog.KindSecret, Required: true}}},
	}
}

// readFrom returns a read function over a map of names to contents.
func readFrom(files map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		text, found := files[name]
		if !found {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}
}

func envFrom(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		text, found := values[name]
		return text, found
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	data := `
connections:
  shop:
    engine: paper
    namespaces: ["shop", "team-*"]
    addresses: ["10.0.0.1:6379", "10.0.0.2:6379"]
    username: 0123
    password: {file: secrets/paper}
    mode: cluster
    weight: 1.5
    tls: true
    tlsCAFile: ca.pem
  archive:
    engine: paper
    namespaces: "*"
    addresses: 10.0.0.3:6379, 10.0.0.4:6379
    password: {env: PAPER}
    database: 7
    timeout: 150ms
  cellar: {engine: stone, namespaces: [a], token: {env: PAPER}}
`
	config, err := Parse([]byte(data), testEngines(),
		readFrom(map[string]string{"secrets/paper": "opensesame\r\n\n", "ca.pem": "certificate\n"}),
		envFrom(map[string]string{"PAPER": "from the environment"}))
	if err != nil {
		t.Fatal(err)
	}
	// Settings and secrets keep their values to themselves, so compare what they tell.
	describe := func(c backlog.Connection) map[string]any {
		s := c.Settings
		return map[string]any{
			"name": c.Name, "engine": c.Engine, "namespaces": c.Namespaces,
			"addresses": s.List("addresses"), "username": s.Text("username"), "password": s.Secret("password").Reveal(),
			"mode": s.Text("mode"), "database": s.Integer("database"), "tls": s.Bool("tls"),
			"ca": string(s.File("tlsCAFile").Data), "caPath": s.File("tlsCAFile").Path, "timeout": s.Duration("timeout"),
			"token": s.Secret("token").Reveal(),
		}
	}
	var got []map[string]any
	for _, c := range config.Connections {
		got = append(got, describe(c))
	}
	want := []map[string]any{
		{
			"name": "archive", "engine": "paper", "namespaces": []string{"*"},
			"addresses": []string{"10.0.0.3:6379", "10.0.0.4:6379"}, "username": "", "password": "from the environment",
			"mode": "standalone", "database": int64(7), "tls": false,
			"ca": "", "caPath": "", "timeout": 150 * time.Millisecond, "token": "",
		},
		{
			"name": "cellar", "engine": "stone", "namespaces": []string{"a"},
			"addresses": []string(nil), "username": "", "password": "",
			"mode": "", "database": int64(0), "tls": false,
			"ca": "", "caPath": "", "timeout": time.Duration(0), "token": "from the environment",
		},
		{
			"name": "shop", "engine": "paper", "namespaces": []string{"shop", "team-*"},
			"addresses": []string{"10.0.0.1:6379", "10.0.0.2:6379"}, "username": "0123", "password": "opensesame",
			"mode": "cluster", "database": int64(0), "tls": true,
			"ca": "certificate\n", "caPath": "ca.pem", "timeout": 2 * time.Second, "token": "",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
}

func TestParseNoConnections(t *testing.T) {
	t.Parallel()
	config, err := Parse([]byte("connections: {}\n"), testEngines(), nil, nil)
	if err != nil || len(config.Connections) != 0 {
		t.Errorf("Parse = %v, %v, want no connections", config, err)
	}
}

// paper returns a document with one connection that has the given further lines.
func paper(lines ...string) string {
	var text strings.Builder
	text.WriteString("connections:\n  orders:\n    engine: paper\n    namespaces: [\"*\"]\n    addresses: [a]\n")
	for _, line := range lines {
		fmt.Fprintf(&text, "    %s\n", line)
	}
	return text.String()
}

func TestParseFaults(t *testing.T) {
	t.Parallel()
	const (
		limits = `a list of names or patterns of queues such as ["{namespace}-*"], where {namespace} is the trigger's own`
		keys   = "engine, namespaces, queues, wakeToken, addresses, username, password, mode, database, weight, tls, tlsCAFile, timeout"
		ns     = `a list of namespaces such as ["shop", "team-*"], or ["*"] for everyone`
		sec    = "a mapping {file: PATH} or {env: NAME}"
	)
	for _, tc := range []struct {
		name, data string
		want       []string
	}{
		{"empty file", "", []string{`the file is empty, want at least "connections: {}"`}},
		{"only a comment", "# nothing\n", []string{`the file is empty, want at least "connections: {}"`}},
		{"null", "~\n", []string{`1:1: the value is missing, want a mapping with the key "connections"`}},
		{"list", "- a\n", []string{`1:1: got a list, want a mapping with the key "connections"`}},
		{"not YAML", "connections:\n  a: [b\n", []string{"1: not valid YAML: did not find expected ',' or ']'"}},
		{"two documents", "connections: {}\n---\nconnections: {}\n", []string{
			"2:1: a second document begins here, want one document in the file",
		}},
		{"wrong top key", "conections: {}\n", []string{
			`1:1: conections: unknown key, want one of connections, watches; did you mean "connections"?`,
			`1:1: the key "connections" is missing, want at least "connections: {}"`,
		}},
		{"connections without value", "connections:\n", []string{
			"1:13: connections: the value is missing, want a mapping of names to connections; {} is none",
		}},
		{"connection is a text", "connections:\n  orders: redis\n", []string{
			"2:11: connections.orders: got a plain value, want a mapping with engine, namespaces and the engine's settings",
		}},
		{"connection of no kind", "connections:\n  orders: {}\n", []string{
			`2:3: connections.orders: the key "namespaces" is missing, want ` + ns,
			`2:3: connections.orders: the key "engine" is missing, want one of paper, stone`,
		}},
		{"bad name", "connections:\n  \"a b\": {engine: stone, namespaces: [a], token: {env: SET}}\n", []string{
			`2:3: connections."a b": the name of a connection is 1 to 63 letters, digits, dashes, underscores and dots, ` +
				"with a letter or digit at either end",
		}},
		{"long name", "connections:\n  " + strings.Repeat("a", 64) + ": {engine: stone, namespaces: [a], token: {env: SET}}\n", []string{
			`2:3: connections.` + strings.Repeat("a", 64) + `: the name of a connection is 1 to 63 letters, digits, dashes, underscores and dots, ` +
				"with a letter or digit at either end",
		}},
		{"longer name", "connections:\n  " + strings.Repeat("a", 65) + ": {engine: stone, namespaces: [a], token: {env: SET}}\n", []string{
			`2:3: connections."` + strings.Repeat("a", 60) + `...": the name of a connection is 1 to 63 letters, digits, dashes, underscores and dots, ` +
				"with a letter or digit at either end",
		}},
		{"longest name", "connections:\n  " + strings.Repeat("a", 63) + ": {engine: stone, namespaces: [a]}\n", []string{
			`2:3: connections.` + strings.Repeat("a", 63) + `: the key "token" is missing, want a mapping {file: PATH} or {env: NAME}`,
		}},
		{"unknown engine", "connections:\n  a: {engine: papr, namespaces: [a]}\n", []string{
			`2:15: connections.a.engine: there is no engine "papr", want one of paper, stone; did you mean "paper"?`,
		}},
		{"unknown engine and key", "connections:\n  a: {engine: papr, namespaces: [a], adresses: [b], mode: cluster}\n", []string{
			`2:15: connections.a.engine: there is no engine "papr", want one of paper, stone; did you mean "paper"?`,
			`2:38: connections.a.adresses: unknown key, which no engine has; did you mean "addresses"?`,
		}},
		{"unknown key", paper("adresses: [b]"), []string{
			`6:5: connections.orders.adresses: unknown key, want one of ` + keys + `; did you mean "addresses"?`,
		}},
		{"key twice", paper("addresses: [b]"), []string{
			"6:5: connections.orders.addresses: the key is given twice, first in line 5",
		}},
		{"connection twice", "connections:\n  a: {engine: stone, namespaces: [a], token: {env: SET}}\n  a: {}\n", []string{
			"3:3: connections.a: the key is given twice, first in line 2",
		}},
		{"required setting is missing", "connections:\n  a: {engine: paper, namespaces: [a]}\n", []string{
			`2:3: connections.a: the key "addresses" is missing, want names separated by commas`,
		}},
		{"no namespaces", "connections:\n  a: {engine: paper, addresses: [a], namespaces: []}\n", []string{
			"2:50: connections.a.namespaces: the list is empty, want " + ns,
		}},
		{"bad namespaces", "connections:\n  a: {engine: paper, addresses: [a], namespaces: [\"[\", Shop, ok]}\n", []string{
			`2:51: connections.a.namespaces: "[" is not a valid pattern, want ` + ns,
			`2:56: connections.a.namespaces: "Shop" matches no namespace, whose names are lower-case letters, ` +
				`digits and dashes, want ` + ns,
		}},
		{"list in a list", paper("username: [a]"), []string{
			"6:15: connections.orders.username: got a list, want a text",
		}},
		{"empty element", "connections:\n  a: {engine: paper, namespaces: [a], addresses: \"a,,b\"}\n", []string{
			"2:50: connections.a.addresses: an element is empty, want a list, or names separated by commas",
		}},
		{"element is a mapping", "connections:\n  a: {engine: paper, namespaces: [a], addresses: [{b: c}]}\n", []string{
			"2:51: connections.a.addresses: got a mapping, want a list, or names separated by commas",
		}},
		{"empty text", paper(`username: ""`), []string{
			"6:15: connections.orders.username: the value is empty, want a text",
		}},
		{"null", paper("username:"), []string{
			"6:14: connections.orders.username: the value is missing, want a text",
		}},
		{"choice", paper("mode: clustr"), []string{
			`6:11: connections.orders.mode: got "clustr", want one of standalone, cluster; did you mean "cluster"`,
		}},
		{"integer", paper("database: 16"), []string{
			`6:15: connections.orders.database: got "16", want a whole number from 0 to 15`,
		}},
		{"number", paper("weight: .inf"), []string{
			`6:13: connections.orders.weight: got ".inf", want a number`,
		}},
		{"bool", paper("tls: yes"), []string{
			`6:10: connections.orders.tls: got "yes", want true or false`,
		}},
		{"duration", paper("timeout: 30"), []string{
			`6:14: connections.orders.timeout: got "30", want a duration such as "30s" or "5m"`,
		}},
		{"long value", paper("mode: " + strings.Repeat("x", 100)), []string{
			`6:11: connections.orders.mode: got "` + strings.Repeat("x", 60) + `...", want one of standalone, cluster`,
		}},
		{"variable in a value", paper("username: ${USER}"), []string{
			"6:15: connections.orders.username: ${...} is not replaced by anything here, want a text; " +
				"secrets alone can come from variables, with {env: NAME}",
		}},
		{"tag", paper("username: !secret a"), []string{
			`6:15: connections.orders.username: a tag is not supported, want a text; put a value that begins with "!" in quotes`,
		}},
		{"alias", paper("username: &a b", "mode: *a"), []string{
			`7:11: connections.orders.mode: an alias is not supported, want one of standalone, cluster; ` +
				`write it out, or put a value that begins with "*" in quotes`,
		}},
		{"alias of itself", "connections: &a\n  orders: *a\n", []string{
			"2:11: connections.orders: an alias is not supported, want a mapping with engine, namespaces and the " +
				`engine's settings; write it out, or put a value that begins with "*" in quotes`,
		}},
		{"alias of nothing", paper("password: *hunter2"), []string{
			`not valid YAML: a "*" begins an alias, which is not supported; put a value that begins with it in quotes`,
		}},
		{"merge", paper("<<: {database: 3}"), []string{
			"6:5: connections.orders: merging with << is not supported, write the keys out",
		}},
		{"key is a list", paper("[a]: b"), []string{
			"6:5: connections.orders: got a list, want a name as key",
		}},
		{"plain secret", paper("password: hunter2"), []string{
			"6:15: connections.orders.password: a secret cannot stand in the configuration itself; " +
				"write it into a file or a variable and write " + sec + " here",
		}},
		{"secret in a list", paper("password: [hunter2]"), []string{
			"6:15: connections.orders.password: got a list, want " + sec,
		}},
		{"secret as a key", paper("password: {hunter2: }"), []string{
			"6:16: connections.orders.password: unknown key, want " + sec,
		}},
		{"secret from a misspelt key", paper("password: {fle: a}"), []string{
			"6:16: connections.orders.password: unknown key, want " + sec + `; did you mean "file"?`,
		}},
		{"secret from both", paper("password: {file: a, env: SET}"), []string{
			"6:15: connections.orders.password: want " + sec + ", with one of the two",
		}},
		{"secret of nothing", paper("password:"), []string{
			"6:14: connections.orders.password: the value is missing, want " + sec,
		}},
		{"secret file is missing", paper("password: {file: gone}"), []string{
			"6:22: connections.orders.password.file: open gone: file does not exist",
		}},
		{"secret file is empty", paper("password: {file: newline}"), []string{
			`6:22: connections.orders.password.file: the file "newline" is empty, want a file with the secret`,
		}},
		{"secret variable is not set", paper("password: {env: UNSET}"), []string{
			"6:21: connections.orders.password.env: the variable UNSET is not set, " +
				"want the name of an environment variable with the secret",
		}},
		{"secret variable is empty", paper("password: {env: EMPTY}"), []string{
			"6:21: connections.orders.password.env: the variable EMPTY is empty, " +
				"want the name of an environment variable with the secret",
		}},
		{"secret in place of a variable", paper("password: {env: hunter-2}"), []string{
			"6:21: connections.orders.password.env: not a name, want the name of an environment variable with the secret",
		}},
		{"file is missing", paper("tlsCAFile: gone"), []string{
			"6:16: connections.orders.tlsCAFile: open gone: file does not exist",
		}},
		{"wake token in the file", paper("wakeToken: hunter2"), []string{
			"6:16: connections.orders.wakeToken: a secret cannot stand in the configuration itself; " +
				"write it into a file or a variable and write " + sec + " here",
		}},
		{"no queue allowed", paper("queues: []"), []string{
			"6:13: connections.orders.queues: the list is empty, want " + limits,
		}},
		{"several queues in one limit", paper(`queues: ["a,b"]`), []string{
			`6:14: connections.orders.queues: "a,b" is not one name, want ` + limits,
		}},
		{"misspelt placeholder", paper(`queues: ["{Namespace}-*", "{namespaces}-*"]`), []string{
			`6:14: connections.orders.queues: "{Namespace}-*": did you mean {namespace}?`,
			`6:31: connections.orders.queues: "{namespaces}-*": did you mean {namespace}?`,
		}},
		{"limit that ends with a backslash", paper(`queues: ['a\']`), []string{
			`6:14: connections.orders.queues: "a\\" ends with a single \, want \\ for a backslash, want ` + limits,
		}},
		{"settings that do not go together", paper("mode: cluster", "database: 1", "tlsCAFile: ca"), []string{
			"2:3: connections.orders: a cluster has no databases",
			"2:3: connections.orders: tlsCAFile needs tls: true",
		}},
		{"everything at once", paper("mode: x", "database: y", "tsl: true") + "  b: {engine: stone}\nversion: 1\n", []string{
			`6:11: connections.orders.mode: got "x", want one of standalone, cluster`,
			`7:15: connections.orders.database: got "y", want a whole number from 0 to 15`,
			`8:5: connections.orders.tsl: unknown key, want one of ` + keys + `; did you mean "tls"?`,
			`9:3: connections.b: the key "namespaces" is missing, want ` + ns,
			`9:3: connections.b: the key "token" is missing, want ` + sec,
			`10:1: version: unknown key, want one of connections, watches`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tc.data), testEngines(),
				readFrom(map[string]string{"a": "x", "ca": "x", "newline": "\n"}),
				envFrom(map[string]string{"SET": "x", "EMPTY": ""}))
			if _, ok := errors.AsType[Faults](err); !ok {
				t.Fatalf("error = %v, want Faults", err)
			}
			if diff := cmp.Diff(strings.Join(tc.want, "\n"), err.Error()); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
