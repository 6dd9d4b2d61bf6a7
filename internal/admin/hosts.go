package admin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// knownHosts rejects requests to a name that the scaler does not go by. A website whose name
// resolves to a loopback address would otherwise be of the same origin as the scaler, for the
// browser of an operator.
func knownHosts(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !known(names, r.Host) {
			text := fmt.Sprintf("the host %s is not served here: use an address, localhost, or a name in --admin-hosts", strconv.QuoteToASCII(shortened(r.Host)))
			http.Error(w, text, http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// known reports whether a Host header is an address, localhost, or one of names.
func known(names []string, header string) bool {
	host := header
	if name, port, err := net.SplitHostPort(header); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
		host = name
	} else if inner, opened := strings.CutPrefix(header, "["); opened {
		var closed bool
		if host, closed = strings.CutSuffix(inner, "]"); !closed {
			return false
		}
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.TrimSuffix(host, ".")
	return strings.EqualFold(host, "localhost") || slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, host) })
}

// shortened returns the begin of a long name.
func shortened(name string) string {
	const most = 100
	if len(name) > most {
		return name[:most] + "..."
	}
	return name
}
