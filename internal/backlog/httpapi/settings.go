package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// The defaults of the settings.
const (
	answerTimeout = 2 * time.Second
	// interval is shorter than what metrics and logs are collected at, which is 15 s as a rule:
	// https://prometheus.io/docs/prometheus/latest/configuration/configuration/#configuration-file.
	interval = 5 * time.Second
)

// shortestInterval keeps one query from causing more than ten requests a second.
const shortestInterval = 100 * time.Millisecond

// Settings are the keys of a connection to an HTTP API. An engine adds its own.
func Settings() []backlog.Parameter {
	return slices.Concat([]backlog.Parameter{
		{Name: "url", Kind: backlog.KindText, Required: true, Doc: `Address of the API with its scheme, such as "https://metrics.example.com:9090". A path in it is put before each path of the API. User information and a query are refused.`},
		{Name: "username", Kind: backlog.KindText, Doc: "User of HTTP basic authentication."},
		{Name: "password", Kind: backlog.KindSecret, Doc: "Password of the user."},
		{Name: "token", Kind: backlog.KindSecret, Doc: "Bearer token, in place of a user."},
		{Name: "tenant", Kind: backlog.KindText, Doc: "Tenant of Mimir, Cortex and Loki: the header X-Scope-OrgID."},
	}, tlsconfig.Settings("the host of the URL"), []backlog.Parameter{
		{Name: "answerTimeout", Kind: backlog.KindDuration, Default: answerTimeout.String(), Doc: "Bound of one answer, from the connection to the last byte, within the bound of the whole read."},
		{Name: "interval", Kind: backlog.KindDuration, Default: interval.String(), Doc: "How often each query is asked, at least 100ms."},
	})
}

// Interval returns how often each query of a connection is asked.
func Interval(s backlog.Settings) time.Duration { return cmp.Or(s.Duration("interval"), interval) }

// CheckSettings reports settings that are wrong or exclude each other.
func CheckSettings(s backlog.Settings) error {
	_, problem := baseURL(s.Text("url"))
	return errors.Join(problem, checkLogin(s), checkInterval(s), checkTLS(s))
}

// baseURL parses the setting url. The error repeats nothing of a text that may hold a secret.
func baseURL(text string) (*url.URL, error) {
	const want = `want an address such as "http://prometheus:9090"`
	base, err := url.Parse(text)
	switch {
	case text == "":
		return nil, errors.New("url: " + want)
	case backlog.HasUserInfo(text):
		return nil, errors.New("url: holds user information, " + want + ": write username and password: {file: PATH}, or {env: NAME}, as settings of their own")
	case err != nil || base.Opaque != "" || base.Scheme == "":
		return nil, errors.New("url: " + want)
	case base.Scheme != "http" && base.Scheme != "https":
		return nil, fmt.Errorf("url: the scheme is %q, want http or https", backlog.Line(base.Scheme))
	case !backlog.IsHost(base.Hostname()) || !isPort(base.Port()) || strings.HasSuffix(base.Host, ":"):
		return nil, errors.New("url: the host is not valid, " + want)
	case base.RawQuery != "" || base.ForceQuery || strings.Contains(text, "#"):
		return nil, errors.New("url: holds a query or a fragment, " + want)
	case HasDots(base.Path):
		return nil, errors.New(`url: holds "." or ".." in its path, ` + want)
	}
	base.RawPath = strings.TrimRight(base.EscapedPath(), "/")
	base.Path = strings.TrimRight(base.Path, "/")
	return base, nil
}

// isPort reports whether text is the port of a URL, which may be left out.
func isPort(text string) bool {
	if text == "" {
		return true
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// HasDots reports whether a path has an element that leads out of it: "." or "..".
func HasDots(path string) bool {
	elements := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' })
	return slices.Contains(elements, ".") || slices.Contains(elements, "..")
}

func checkLogin(s backlog.Settings) error {
	username, password, token := s.Text("username"), s.Secret("password"), s.Secret("token")
	return backlog.JoinFaults(
		backlog.Fault{Present: username == "" && password.IsSet(), Text: "password: needs a username"},
		backlog.Fault{Present: username != "" && !password.IsSet(), Text: "username: needs a password"},
		backlog.Fault{Present: strings.Contains(username, ":"), Text: "username: holds a colon, which basic authentication does not allow"},
		backlog.Fault{Present: username != "" && token.IsSet(), Text: "username, token: exclude each other"},
		backlog.Fault{Present: !isHeaderValue(token.Reveal()), Text: "token: holds a character that a header does not allow, such as the end of a line"},
		backlog.Fault{Present: !isHeaderValue(s.Text("tenant")), Text: "tenant: holds a character that a header does not allow"},
	)
}

// isHeaderValue reports whether text can be sent as it is: visible ASCII and blanks within.
func isHeaderValue(text string) bool {
	return strings.TrimSpace(text) == text && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

func checkInterval(s backlog.Settings) error {
	if every := s.Duration("interval"); every != 0 && every < shortestInterval {
		return fmt.Errorf("interval: is %s, want at least %s", every, shortestInterval)
	}
	return nil
}

func checkTLS(s backlog.Settings) error {
	return tlsconfig.Check(s, !strings.HasPrefix(strings.ToLower(s.Text("url")), "http:"), "url: must begin with https:// for the tls settings to have an effect")
}
