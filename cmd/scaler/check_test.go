package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// TestCheckSaysWhatToChange: below a connection that does not work stands what to change,
// and the others are tried as well.
func TestCheckSaysWhatToChange(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	secure := redistest.Start(t, redistest.WithTLS())
	locked := redistest.Start(t, redistest.WithConfig("requirepass hunter2"))
	var file strings.Builder
	file.WriteString("connections:\n")
	add := func(name, settings string) {
		fmt.Fprintf(&file, "  %s: {engine: redis, namespaces: [a], %s}\n", name, settings)
	}
	add("a-good", "addresses: ["+server.Addr()+"]")
	add("b-plain", "tls: true, addresses: ["+server.Addr()+"]")
	add("c-tls", "addresses: ["+secure.Addr()+"]")
	add("d-cluster", "mode: cluster, addresses: ["+server.Addr()+"]")
	add("e-locked", "addresses: ["+locked.Addr()+"]")
	code, out, errText := scaler("check", "--config", writeConfig(t, file.String()))
	if code != 1 || !strings.Contains(errText, "not every connection works") {
		t.Errorf("code %d\n%s", code, errText)
	}
	lines := strings.Split(out, "\n")
	at := 1
	for _, want := range []struct{ name, result, change string }{
		{"a-good", "ok", ""},
		{"b-plain", "the server does not speak TLS", "change: tls: false"},
		{"c-tls", "the server speaks TLS", "change: tls: true"},
		{"d-cluster", "cluster support disabled", "change: mode: standalone"},
		{"e-locked", "NOAUTH", "change: password: the server requires one"},
	} {
		if !strings.HasPrefix(lines[at], want.name) || !strings.Contains(lines[at], want.result) || strings.Contains(lines[at], "change:") {
			t.Errorf("line %q, want %s: %s", lines[at], want.name, want.result)
		}
		at++
		if want.change == "" {
			continue
		}
		if !strings.HasPrefix(strings.TrimSpace(lines[at]), want.change) {
			t.Errorf("line %q, want %q", lines[at], want.change)
		}
		at++
		for at < len(lines) && strings.Contains(lines[at], "fallback reason") {
			at++
		}
	}
}

// TestCheckAcceptsWhatServeAccepts: what serve refuses check and read refuse, in the same
// words, and what it accepts they accept.
func TestCheckAcceptsWhatServeAccepts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	connections := "connections:\n  main: {engine: redis, namespaces: [shop], addresses: [" + server.Addr() + "]}\n"
	for name, tc := range map[string]struct{ file, want string }{
		"good watch":               {connections + "watches: {w: {namespace: shop, connection: main, list: jobs}}\n", ""},
		"target of zero":           {connections + "watches: {w: {namespace: shop, connection: main, list: jobs, target: \"0\"}}\n", `target: "0": want a number greater than 0`},
		"unknown key of a trigger": {connections + "watches: {w: {namespace: shop, connection: main, lst: jobs}}\n", `did you mean "list"`},
		"key of KEDA's own":        {connections + "watches: {w: {namespace: shop, connection: main, listName: jobs}}\n", "is called list"},
		"another's connection":     {connections + "watches: {w: {namespace: other, connection: main, list: jobs}}\n", "not available"},
		"address without a port":   {strings.ReplaceAll(connections, server.Addr(), "redis"), `want "host:port"`},
		"address that is a URL":    {strings.ReplaceAll(connections, server.Addr(), `"rediss://:s3cret@host:6379/1"`), `write addresses: ["host:6379"], tls: true`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := writeConfig(t, tc.file)
			_, serve := app.New(t.Context(), app.Options{
				Config: path, GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0",
				Engines: engines.All(), Logger: slog.New(slog.DiscardHandler),
			})
			if tc.want != "" && (serve == nil || !strings.Contains(serve.Error(), tc.want)) {
				t.Errorf("serve: error %v, want %q", serve, tc.want)
			}
			for _, args := range [][]string{{"check", "--config", path}, {"read", "--config", path, "--connection", "main", "--list", "jobs"}} {
				code, out, errText := scaler(args...)
				switch {
				case tc.want == "":
					if code != 0 || serve != nil {
						t.Errorf("%s: %d\n%s%s\nserve: %v", args[0], code, out, errText, serve)
					}
				case code != 1 || !strings.Contains(errText, tc.want) || !strings.Contains(errText, serve.Error()):
					t.Errorf("%s: %d\n%s%s\nwant what serve says:\n%v", args[0], code, out, errText, serve)
				}
				if strings.Contains(out+errText, "s3cret") {
					t.Errorf("%s repeats the password:\n%s%s", args[0], out, errText)
				}
			}
		})
	}
}

// TestNoUserInformationIsPrinted: credentials that were written into any setting, or any
// key of a watch, are printed by no command.
func TestNoUserInformationIsPrinted(t *testing.T) {
	t.Parallel()
	values := []string{"rediss://:canary@127.0.0.1:1/1", "redis://user:canary@127.0.0.1:1", "127.0.0.1:1,password=canary"}
	var settings, keys []string
	for _, engine := range engines.All() {
		for _, setting := range engine.Settings {
			settings = append(settings, setting.Name)
		}
		for _, layout := range engine.Layouts {
			keys = append(keys, layout.Name)
			for _, parameter := range layout.Parameters {
				keys = append(keys, parameter.Name)
			}
		}
	}
	for _, parameter := range trigger.Common() {
		keys = append(keys, parameter.Name)
	}
	keys = append(keys, "address", "passwordFromEnv", "hosts", "unknown")
	dir := t.TempDir()
	path := filepath.Join(dir, "scaler.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := engines.All()
	// check makes thousands of checks, without the command line, whose parser would take most of the time.
	check := func(text string) {
		t.Helper()
		write(text)
		var out, errText strings.Builder
		command.Ended(&errText, "scaler", checkCommand{Config: path, Timeout: time.Minute}.Run(t.Context(), all, &out))
		if printed := out.String() + errText.String(); strings.Contains(printed, "canary") || printed == "" {
			t.Errorf("%s\nprints\n%s", text, printed)
		}
	}
	read := func(text string, args ...string) {
		t.Helper()
		write(text)
		if _, out, errText := scaler(append(append([]string{"read"}, args...), "--config", path)...); strings.Contains(out+errText, "canary") {
			t.Errorf("%s\nread %v prints\n%s%s", text, args, out, errText)
		}
	}
	for _, value := range values {
		quoted := fmt.Sprintf("%q", value)
		for _, setting := range settings {
			for _, shape := range []string{"%s", "[%s]", "{file: %s}", "{env: %s}", "{%s: a}"} {
				addresses := "\n    addresses: [127.0.0.1:1]"
				if setting == "addresses" {
					addresses = ""
				}
				check("connections:\n  main:\n    engine: redis\n    namespaces: [a]" + addresses + "\n    " + setting + ": " + strings.ReplaceAll(shape, "%s", quoted) + "\n")
			}
		}
		good := "connections: {main: {engine: redis, namespaces: [a], addresses: [127.0.0.1:1]}}\n"
		for _, key := range keys {
			connection := ", connection: main"
			if key == "connection" {
				connection = ""
			}
			check(good + "watches: {w: {namespace: a" + connection + ", " + key + ": " + quoted + "}}\n")
		}
		read(good, "--connection", value, "--list", "jobs")
		if !strings.Contains(value, "://") {
			// It may be the name of a queue, which is shown as it is.
			continue
		}
		read(good, "--connection", "main", "--list", value)
		read(good, "--connection", "main", "--stream", value, "--consumer-group", value)
	}
}
