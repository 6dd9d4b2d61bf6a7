package backlog_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"redis:6379", "redis.shop.svc:1", "10.0.0.1:65535", "[::1]:6379", "[fe80::1%eth0]:6379", "my_redis:6379", "redis.shop.svc.cluster.local.:6379",
		strings.Repeat("a", 253) + ":6379",
	} {
		if err := backlog.CheckAddress(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "redis", "redis:", ":6379", "redis:0", "redis:65536", "redis:06379", "redis:+1", "redis:port", "::1:6379", "[::1]", "[redis]:6379:1",
		"a b:6379", "redis:6379/1", "redis:6379,ssl=true", "password=x:1", "unix:/tmp/redis.sock", "/tmp/redis.sock", "-redis:6379",
		strings.Repeat("a", 254) + ":6379",
	} {
		if err := backlog.CheckAddress(bad); err == nil || !strings.Contains(err.Error(), `want "host:port"`) {
			t.Errorf("%q: %v, want an error that says what is allowed", bad, err)
		}
	}
}

// TestURLIsNoAddress: a URL is answered with the settings that it would be, and nothing of
// its user information is repeated.
func TestURLIsNoAddress(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"rediss://:s3cret@host:6379/1":             `write addresses: ["host:6379"], tls: true, password: {file: PATH}, database: 1`,
		"redis://s3cret:s3cret@host:6380":          `write addresses: ["host:6380"], username, password: {file: PATH}`,
		"redis://s3cret@host":                      `write addresses: ["host:6379"], password: {file: PATH}`,
		"redis://host:6379/0":                      `write addresses: ["host:6379"]`,
		"redis://host:6379/2?password=s3cret":      `write addresses: ["host:6379"], password: {file: PATH}, database: 2`,
		"redis://:s3cret@[::1]:6379":               `write addresses: ["[::1]:6379"], password: {file: PATH}`,
		"redis://:s3cret@[::1]":                    `write addresses: ["[::1]:6379"], password: {file: PATH}`,
		"redis://:s3c@ret/s3cret@host:6379":        `write addresses: ["host:6379"], password: {file: PATH}`,
		"redis://:s3,cret@a:1,b:2":                 `write addresses: ["a:1", "b:2"], password: {file: PATH}`,
		"redis://:s3 cret@a:1":                     `write addresses: ["a:1"], password: {file: PATH}`,
		"redis://host:s3cret":                      `write addresses: ["HOST:PORT"]`,
		"https://host:6379":                        `write addresses: ["host:6379"], tls: true`,
		"redis+sentinel://:s3cret@a:1/mymaster/s3": `write addresses: ["a:1"], password: {file: PATH}`,
	} {
		err := backlog.CheckAddress(url)
		if err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "s3") {
			t.Errorf("%q: %v\nwant %s", url, err, want)
		}
	}
	if err := backlog.CheckAddress("s3cret:s3cret@host:6379"); err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "password: {file: PATH}") {
		t.Errorf("user information: %v", err)
	}
}

// TestRedact: nothing that looks like user information is left in a text, and what does not
// is left as it is.
func TestRedact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`dial rediss://:s3cret@host:6379/1: refused`:   `dial rediss://***@host:6379/1: refused`,
		`got "rediss://u:s3cret@host", want a host`:    `got "rediss://***@host", want a host`,
		`s3cret:s3cret@host`:                           `***@host`,
		`redis://:s3c@r/et@host and u:s3cret@other`:    `redis://***@host and ***@other`,
		`open /etc/rediss:/:s3cret@host: no such file`: `open ***@host: no such file`,
		`host:6379,password=s3cret,ssl=true`:           `host:6379,password=***,ssl=true`,
		`redis://h/0?PASSWD=s3cret&x=1`:                `redis://h/0?PASSWD=***&x=1`,
		`AccountKey=s3cret;Endpoint=sb://x`:            `AccountKey=***;Endpoint=sb://x`,
		`mail bob@example.com at 10:30`:                `mail bob@example.com at 10:30`,
		"redis://host:6379/1 is a URL":                 "redis://host:6379/1 is a URL",
		"":                                             "",
	} {
		if got := backlog.Redact(text); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
	}
	for value, want := range map[string]string{
		"rediss://:my s3cret@host:6379": "rediss://***@host:6379",
		`u:"s3cret' @host`:              "***@host",
		"s3cret@host":                   "***@host",
		"password=s3cret":               "password=***",
		"jobs":                          "jobs",
	} {
		if got := backlog.RedactValue(value); got != want {
			t.Errorf("RedactValue(%q) = %q, want %q", value, got, want)
		}
	}
}
