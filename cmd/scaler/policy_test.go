package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/policycheck/policychecktest"
)

// TestPolicyCheck: the exit code is 1 with a mistake, with a file that cannot be read and with
// nothing to check, and each file is looked into.
func TestPolicyCheck(t *testing.T) {
	t.Parallel()
	dir, file := folder(t)
	good := file("good.yaml", policychecktest.Whole)
	bad := file("bad.yaml", strings.Replace(policychecktest.Whole, "via: KEDA", "via: Kedo", 1))
	other := file("other.yaml", "kind: Deployment\nmetadata: {name: billing}\n")
	broken := file("broken.yaml", "a: [\n")
	config := writeConfig(t, "connections:\n  orders: {engine: redis, namespaces: [shop], addresses: [127.0.0.1:1]}\n")
	for _, tc := range []struct {
		name         string
		args         []string
		code         int
		stdout, want string
	}{
		{"good", []string{good}, 0, "AutoscalerPolicy default/billing: valid", ""},
		{"a day", []string{good, "--from", "2026-11-26", "--for", "1d"}, 0, "windows from Thu 2026-11-26 01:00 CET to Fri 2026-11-27 01:00 CET", ""},
		{"hours", []string{good, "--from", "2026-11-26T12:00:00+01:00", "--for", "36h"}, 0, "windows from Thu 2026-11-26 12:00 CET to Sat 2026-11-28 00:00 CET", ""},
		{"namespace", []string{good, "-n", "shop"}, 0, "AutoscalerPolicy shop/billing: valid", ""},
		{"one of two", []string{good, bad}, 1, bad + `:7: via "Kedo": want one of KEDA, Scale; did you mean KEDA?`, "mistakes: 1"},
		{"connections", []string{good, "-n", "shop", "--config", config}, 1, `no connection "metrics" (there are: orders)`, "mistakes: 3"},
		{"nothing to check", []string{other}, 1, "not checked: Deployment billing", "no AutoscalerPolicy found"},
		{"no YAML", []string{broken, good}, 1, "default/billing: valid", broken + ": parse YAML"},
		{"no file", []string{filepath.Join(dir, "none.yaml")}, 1, "", "no such file"},
		{"no argument", nil, 2, "", "<file>"},
		{"no time", []string{good, "--for", "2w"}, 2, "", `"2w": want a time such as 14d or 36h`},
		{"too long", []string{good, "--for", "9999d"}, 2, "", "at most 366d"},
		{"no moment", []string{good, "--from", "today"}, 2, "", `"today": want a day such as 2026-11-26`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, out, errText := scaler(append([]string{"policy", "check"}, tc.args...)...)
			if code != tc.code || !strings.Contains(out, tc.stdout) || !strings.Contains(errText, tc.want) {
				t.Errorf("code %d, want %d; no %q and %q in\n%s\n%s", code, tc.code, tc.stdout, tc.want, out, errText)
			}
		})
	}
}
