package redis

import (
	"net"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A redirect is the server that has the slot of a key.
type redirect struct {
	// address is empty if what was answered is none.
	address string
	// asking is a slot that is still on its way to that server.
	asking bool
}

// redirectOf returns where a command has to be sent, if err, which a server has answered,
// says so: "MOVED 3999 127.0.0.1:6381", or ASK in place of MOVED.
func redirectOf(err error, from string) (to redirect, redirected bool) {
	moved, ask := resp.HasCode(err, "MOVED"), resp.HasCode(err, "ASK")
	if !moved && !ask {
		return redirect{}, false
	}
	to.asking = ask
	words := strings.Fields(err.Error())
	last := words[len(words)-1]
	// An IPv6 address stands there without brackets.
	i := strings.LastIndexByte(last, ':')
	if len(words) < 3 || i < 0 {
		return to, true
	}
	host := hostOr(strings.Trim(last[:i], "[]"), from)
	if address := net.JoinHostPort(host, last[i+1:]); backlog.CheckAddress(address) == nil {
		to.address = address
	}
	return to, true
}

// follow makes the command at a place of a job go to another server, and reports whether
// that is possible: one that is no node of a cluster is not the server that the settings say
// it is. A slot that has moved for good is looked for there in the rest of the read, and the
// topology is asked for soon: following does not wait for it.
func (s *reader) follow(j *job, place int, to redirect, key string) bool {
	if s.panel == nil || to.address == "" {
		return false
	}
	if j.redirects == nil {
		j.redirects = make(map[int]redirect)
	}
	j.redirects[place] = to
	if to.asking {
		return true
	}
	if s.moved == nil {
		s.moved = make(map[int]string)
	}
	s.moved[slotOf(key)] = to.address
	s.topology.hurry()
	return true
}
