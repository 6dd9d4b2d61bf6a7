package httpapi_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url  string
		more map[string]any
		want string
	}{
		"host":            {url: "http://prometheus"},
		"host and port":   {url: "https://prometheus.example.com:9090/"},
		"path":            {url: "https://example.com/a/b%20c"},
		"IPv6":            {url: "http://[::1]:9090"},
		"none":            {url: "", want: "url: want an address"},
		"no scheme":       {url: "prometheus:9090", want: "url: "},
		"path alone":      {url: "/api", want: "url: want an address"},
		"other scheme":    {url: "ftp://x", want: `url: the scheme is "ftp", want http or https`},
		"user":            {url: "http://u:hunter2@x", want: "url: holds user information"},
		"query":           {url: "http://x/?token=hunter2", want: "url: holds a query"},
		"empty query":     {url: "http://x/?", want: "url: holds a query"},
		"fragment":        {url: "http://x/#a", want: "url: holds a query or a fragment"},
		"dots":            {url: "http://x/a/../b", want: `url: holds "." or ".."`},
		"port":            {url: "http://x:99999", want: "url: "},
		"empty port":      {url: "http://x:", want: "url: the host is not valid"},
		"no host":         {url: "http:///x", want: "url: the host is not valid"},
		"control":         {url: "http://x/\x00", want: "url: want an address"},
		"password alone":  {url: "http://x", more: map[string]any{"password": backlog.NewSecret("p")}, want: "password: needs a username"},
		"user alone":      {url: "http://x", more: map[string]any{"username": "u"}, want: "username: needs a password"},
		"colon":           {url: "http://x", more: map[string]any{"username": "u:v", "password": backlog.NewSecret("p")}, want: "username: holds a colon"},
		"user and token":  {url: "http://x", more: map[string]any{"username": "u", "password": backlog.NewSecret("p"), "token": backlog.NewSecret("t")}, want: "username, token: exclude each other"},
		"token of lines":  {url: "http://x", more: map[string]any{"token": backlog.NewSecret("hunter2\nx")}, want: "token: holds a character"},
		"tenant of lines": {url: "http://x", more: map[string]any{"tenant": "a\r\nb"}, want: "tenant: holds a character"},
		"interval":        {url: "http://x", more: map[string]any{"interval": time.Millisecond}, want: "interval: is 1ms, want at least 100ms"},
		"certificate":     {url: "https://x", more: map[string]any{"tlsCertFile": backlog.File{Path: "c"}}, want: "tlsCertFile, tlsKeyFile: each needs the other"},
		"authority":       {url: "https://x", more: map[string]any{"tlsCAFile": backlog.File{Path: "ca.pem", Data: []byte("x")}}, want: `tlsCAFile: no certificate in "ca.pem"`},
		"server name":     {url: "https://x", more: map[string]any{"tlsServerName": "a b"}, want: "tlsServerName: want a host name"},
		"TLS without TLS": {url: "http://x", more: map[string]any{"tlsServerName": "a"}, want: "url: must begin with https://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := map[string]any{"url": c.url}
			maps.Copy(settings, c.more)
			err := httpapi.CheckSettings(backlog.NewSettings(settings))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2")):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// FuzzURL has any setting url. A URL that is accepted has no user information and no query.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{"http://x", "https://u:p@x/?a#b", "http://[::1]:1/%2e%2e", "//", "http://x:1/a/./b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		if httpapi.CheckSettings(backlog.NewSettings(map[string]any{"url": url})) == nil && strings.ContainsAny(url, "?#") {
			t.Errorf("%q is accepted", url)
		}
	})
}
