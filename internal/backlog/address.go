package backlog

import (
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// wantAddress describes an address.
const wantAddress = `"host:port", with an IPv6 address in brackets and a port from 1 to 65535`

// hostName is a DNS name, with underscores as some names have them, or an IPv4 address. It has at most
// maxHost bytes, which the expression does not count: it would be as long, and it is compiled at each
// start.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

const maxHost = 253

// CheckAddress reports why text is not a "host:port". The error repeats nothing of a text that
// may hold user information.
func CheckAddress(text string) error {
	if strings.Contains(text, "://") {
		return errors.New("is a URL, want " + wantAddress + ": write " + settingsOf(text))
	}
	if strings.Contains(text, "@") {
		return errors.New("holds user information, want " + wantAddress +
			": write username and password: {file: PATH}, or {env: NAME}, as settings of their own")
	}
	i := strings.LastIndexByte(text, ':')
	host, port := text[:max(0, i)], text[i+1:]
	inner, open := strings.CutPrefix(host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if open != closed || open != strings.Contains(inner, ":") || !IsHost(inner) || !isPort(port) {
		return errors.New("want " + wantAddress)
	}
	return nil
}

// IsHost reports whether host is a name or an IP address, without brackets.
func IsHost(host string) bool {
	if strings.Contains(host, ":") {
		address, err := netip.ParseAddr(host)
		return err == nil && address.Is6()
	}
	return len(host) <= maxHost && hostName.MatchString(host)
}

func isPort(port string) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= 65535 && strconv.Itoa(n) == port
}

// settingsOf names the settings that replace a URL, without its user information. Which "@"
// ends the user information is ambiguous, so everything before the last one is left out.
func settingsOf(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	at := strings.LastIndexByte(rest, '@')
	user := rest[:max(0, at)]
	hosts, path, _ := strings.Cut(rest[at+1:], "/")
	hosts, _, _ = strings.Cut(hosts, "?")
	path, query, _ := strings.Cut(path, "?")
	name, password, _ := strings.Cut(user, ":")
	settings := []string{"addresses: [" + quoteHosts(hosts) + "]"}
	if isSecure(strings.TrimSpace(scheme)) {
		settings = append(settings, "tls: true")
	}
	if name != "" && password != "" {
		settings = append(settings, "username")
	}
	if user != "" || namedSecret.MatchString(query) {
		settings = append(settings, "password: {file: PATH}")
	}
	if n, err := strconv.ParseUint(path, 10, 16); err == nil && n > 0 {
		settings = append(settings, "database: "+strconv.FormatUint(n, 10))
	}
	return strings.Join(settings, ", ")
}

// isSecure reports whether the scheme of a URL asks for TLS.
func isSecure(scheme string) bool {
	name, _, _ := strings.Cut(scheme, "+")
	return slices.Contains([]string{"rediss", "valkeys", "https", "tls", "ssl"}, name)
}

// quoteHosts writes the hosts of a URL as addresses. It repeats nothing of a text that is no
// host.
func quoteHosts(hosts string) string {
	var all []string
	for host := range strings.SplitSeq(hosts, ",") {
		if !strings.Contains(strings.TrimPrefix(host, "["), ":") || strings.HasSuffix(host, "]") {
			host += ":6379"
		}
		if CheckAddress(host) != nil {
			return `"HOST:PORT"`
		}
		all = append(all, strconv.Quote(host))
	}
	return strings.Join(all, ", ")
}
