package topology

import (
	"net"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A Redirect is the server that has the slot of a key.
type Redirect struct {
	// Address is empty if the server that redirects has not named one.
	Address string
	// Asking is a slot that is still on its way to that server.
	Asking bool
}

// RedirectOf returns where a command has to be sent, if err says so, which the server at an
// address has answered: "MOVED 3999 127.0.0.1:6381", or ASK in place of MOVED.
func RedirectOf(err error, from string) (to Redirect, redirected bool) {
	moved, ask := resp.HasCode(err, "MOVED"), resp.HasCode(err, "ASK")
	if !moved && !ask {
		return Redirect{}, false
	}
	to.Asking = ask
	words := strings.Fields(err.Error())
	last := words[len(words)-1]
	// An IPv6 address stands there without brackets.
	i := strings.LastIndexByte(last, ':')
	if len(words) < 3 || i < 0 {
		return to, true
	}
	host := hostOr(strings.Trim(last[:i], "[]"), from)
	if address := net.JoinHostPort(host, last[i+1:]); backlog.CheckAddress(address) == nil {
		to.Address = address
	}
	return to, true
}

// hostOr returns the host that a node of a cluster has named, or that of the node itself
// where it does not know under which name the other is reached.
func hostOr(host, from string) string {
	if host == "" || host == "?" {
		host, _, _ = net.SplitHostPort(from)
	}
	return host
}
