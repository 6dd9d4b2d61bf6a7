package backlog_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestParameterParse(t *testing.T) {
	t.Parallel()
	choice := backlog.Parameter{Kind: backlog.KindChoice, Allowed: []string{"seconds", "milliseconds"}}
	bounded := backlog.Parameter{Kind: backlog.KindInteger, Min: 0, Max: 15}
	for _, tc := range []struct {
		name      string
		parameter backlog.Parameter
		text      string
		want      any
		err       string
	}{
		{"text", backlog.Parameter{Kind: backlog.KindText}, "any", "any", ""},
		{"choice", choice, "seconds", "seconds", ""},
		{"choice, misspelt", choice, "second", nil, `want one of seconds, milliseconds; did you mean "seconds"`},
		{"choice, unknown", choice, "x", nil, "want one of seconds, milliseconds"},
		{"list", backlog.Parameter{Kind: backlog.KindList}, " a, b ,,c", []string{"a", "b", "c"}, ""},
		{"whole number", backlog.Parameter{Kind: backlog.KindInteger}, "-3", int64(-3), ""},
		{"whole number, broken", backlog.Parameter{Kind: backlog.KindInteger}, "3.5", nil, "want a whole number"},
		{"whole number in bounds", bounded, "15", int64(15), ""},
		{"whole number out of bounds", bounded, "16", nil, "want a whole number from 0 to 15"},
		{"number", backlog.Parameter{Kind: backlog.KindNumber}, "2.5", 2.5, ""},
		{"number, not finite", backlog.Parameter{Kind: backlog.KindNumber}, "Inf", nil, "want a number"},
		{"truth", backlog.Parameter{Kind: backlog.KindBool}, "true", true, ""},
		{"truth, in words", backlog.Parameter{Kind: backlog.KindBool}, "yes", nil, "want true or false"},
		{"duration", backlog.Parameter{Kind: backlog.KindDuration}, "90s", 90 * time.Second, ""},
		{"duration, negative", backlog.Parameter{Kind: backlog.KindDuration}, "-1s", nil, `want a duration such as "30s" or "5m"`},
		{"a secret is never plain text", backlog.Parameter{Kind: backlog.KindSecret}, "hunter2", nil, "a secret cannot be written as plain text, want a mapping {file: PATH} or {env: NAME}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.parameter.Parse(tc.text)
			if text := ""; err != nil {
				if text = err.Error(); text != tc.err {
					t.Errorf("error %q, want %q", text, tc.err)
				}
			} else if tc.err != "" {
				t.Errorf("no error, want %q", tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParamsKeepWhatTheyAreGiven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.MapOfN(rapid.StringMatching(`[a-zA-Z%&=+]{1,8}`), rapid.String(), 0, 5).Draw(t, "values")
		params := backlog.NewParams(values)
		for name, want := range values {
			if got := params.Get(name); got != want {
				t.Fatalf("%q is %q, want %q, in %q", name, got, want, params)
			}
		}
		if again := backlog.NewParams(values); again != params {
			t.Fatalf("the same values gave %q and %q", params, again)
		}
		if got := params.Get("not there"); got != "" {
			t.Fatalf("a name that is not set is %q", got)
		}
	})
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	secret := backlog.NewSecret("hunter2")
	asJSON, err := json.Marshal(map[string]any{"secret": secret})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret)
	connection := backlog.Connection{Settings: backlog.NewSettings(map[string]any{"password": secret})}
	for _, printed := range []string{
		secret.String(), fmt.Sprintf("%v %+v %#v %s %q %x", secret, secret, secret, secret, secret, secret),
		fmt.Sprintf("%v %+v %#v", connection, connection, connection), string(asJSON), log.String(),
	} {
		if strings.Contains(printed, "hunter2") || strings.Contains(printed, hex.EncodeToString([]byte("hunter2"))) {
			t.Errorf("printed %s", printed)
		}
	}
	if secret.Reveal() != "hunter2" || !secret.IsSet() || (backlog.Secret{}).IsSet() {
		t.Error("the secret does not reveal its text")
	}
}

func TestConnection(t *testing.T) {
	t.Parallel()
	base := backlog.Connection{
		Name: "main", Engine: "redis", Namespaces: []string{"shop", "team-*"},
		Settings: backlog.NewSettings(map[string]any{
			"addresses": []string{"a:1"}, "password": backlog.NewSecret("x"), "tlsCAFile": backlog.File{Path: "ca", Data: []byte("1")},
		}),
	}
	for namespace, want := range map[string]bool{"shop": true, "team-": true, "team-red": true, "shops": false, "": false, "a/team-b": false} {
		if got := base.Allows(namespace); got != want {
			t.Errorf("namespace %q: %t", namespace, got)
		}
	}
	with := func(name string, value any) backlog.Connection {
		values := map[string]any{
			"addresses": []string{"a:1"}, "password": backlog.NewSecret("x"), "tlsCAFile": backlog.File{Path: "ca", Data: []byte("1")},
		}
		values[name] = value
		c := base
		c.Settings = backlog.NewSettings(values)
		return c
	}
	renamed, shared := base, base
	renamed.Name, shared.Namespaces = "other", []string{"*"}
	for _, tc := range []struct {
		name  string
		other backlog.Connection
		want  bool
	}{
		{"itself", with("password", backlog.NewSecret("x")), true},
		{"other namespaces", shared, true},
		{"other name", renamed, false},
		{"other password", with("password", backlog.NewSecret("y")), false},
		{"other address", with("addresses", []string{"b:1"}), false},
		{"other content of a file", with("tlsCAFile", backlog.File{Path: "ca", Data: []byte("2")}), false},
		{"one more setting", with("database", int64(1)), false},
	} {
		if got := base.SameEndpoint(tc.other); got != tc.want {
			t.Errorf("%s: same endpoint is %t", tc.name, got)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"":            nil,
		"denied":      backlog.ErrDenied,
		"mismatch":    backlog.ErrMismatch,
		"partial":     backlog.ErrPartial,
		"exhausted":   backlog.ErrExhausted,
		"unavailable": errors.New("anything else"),
	} {
		if err != nil {
			err = fmt.Errorf("read: %w", err)
		}
		if got := backlog.Reason(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}
