package redis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// endpoint returns what is dialled.
func endpoint() network.Endpoint {
	return network.Endpoint{Setting: "addresses", HangUp: "is it a proxy, or no Redis?"}
}

// A diagnosis is what to change where a connection fails in a known way.
type diagnosis struct {
	fits   func(error) bool
	change func(cfg *conn.Config, err error) string
}

// A record is what is known of the server of a connection.
type record struct {
	// server is such as "redis 5.0.14"; "" if it did not say.
	server string
	// worked reports that the connection has been read from, so that what fails now is an
	// outage, and not the settings.
	worked bool
}

// advice returns what to change so that err goes away; "" if that is not known.
func advice(cfg *conn.Config, err error, of record) string {
	if isTooOld(of.server) && says("unknown command", "syntax error", "unknown subcommand", "Unknown subcommand", "wrong number of arguments")(err) {
		return fmt.Sprintf("the server: it is %s, and 6.0 is needed", of.server)
	}
	for _, known := range append(foreignServers(), loginFaults()...) {
		if known.fits(err) {
			return known.change(cfg, err)
		}
	}
	if of.worked {
		return ""
	}
	return endpoint().Advice(err)
}

// advised returns err with its reason and with what to change.
func advised(cfg *conn.Config, err error, of record) error {
	return backlog.WithAdvice(resp.WithReason(err), advice(cfg, err, of))
}

// isTooOld reports whether a server is Redis before 6.0.
func isTooOld(server string) bool {
	version, isRedis := strings.CutPrefix(server, "redis ")
	return isRedis && !resp.AtLeast(version, 6)
}

// foreignServers are servers that the settings do not fit.
func foreignServers() []diagnosis {
	return []diagnosis{
		{is(conn.ErrSpeaksTLS), say("tls: true")},
		{is(conn.ErrSpeaksPlainly), say("tls: false and no other tls settings, or addresses: the port on which the server speaks TLS")},
		{is(conn.ErrSpeaksHTTP), say("addresses: the host and port of the Redis server")},
		{contains(`"HTTP/`), say("addresses: the host and port of the Redis server")},
		{is(conn.ErrIsSentinel), say("mode: sentinel and masterName, or addresses: the Redis server itself, whose port is 6379 as a rule")},
		{is(conn.ErrNoSentinel), say("addresses: those of the sentinels, whose port is 26379 as a rule, or mode: standalone")},
		{is(topology.ErrNoMaster), say("masterName: the name that the sentinels know the master group by")},
		{is(conn.ErrIsClusterNode), say("mode: cluster")},
		{says("SELECT is not allowed in cluster mode"), say("mode: cluster, and no database")},
		{startsWith("MOVED"), say("mode: cluster")},
		{says("cluster support disabled"), say("mode: standalone")},
		{says("DB index is out of range", "invalid DB index"), say("database: a number that the server has; see databases in its configuration")},
	}
}

// loginFaults are refused credentials and rights.
func loginFaults() []diagnosis {
	return []diagnosis{
		{startsWith("NOAUTH"), func(c *conn.Config, _ error) string {
			if c.Mode == conn.ModeSentinel && !c.SentinelLogin.Password.IsSet() && c.Login.Password.IsSet() {
				return "sentinelPassword: the sentinels require one"
			}
			return "password: the server requires one; with ACL users also username"
		}},
		{startsWith("WRONGPASS", "ERR invalid password"), say("username and password: the server does not know them")},
		{says("wrong number of arguments for 'auth' command"), say("username: leave it out, because the server has no users (Redis before 6.0, or a proxy)")},
		{startsWith("DENIED Redis is running in protected mode"), say("the server: set requirepass or an ACL user, and password here")},
		{startsWith("NOPERM"), say("the rights of the user: docs/configuration.md, Rights in Redis")},
		{says("max number of clients"), say("maxclients of the server")},
	}
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func contains(part string) func(error) bool {
	return func(err error) bool { return strings.Contains(err.Error(), part) }
}

// startsWith fits errors that a server answered with one of these beginnings.
func startsWith(starts ...string) func(error) bool {
	return func(err error) bool {
		text := resp.ServerText(err)
		for _, start := range starts {
			if strings.HasPrefix(text, start) {
				return true
			}
		}
		return false
	}
}

// says fits errors that a server answered with one of these parts.
func says(parts ...string) func(error) bool {
	return func(err error) bool {
		text := resp.ServerText(err)
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
}

func say(change string) func(*conn.Config, error) string {
	return func(*conn.Config, error) string { return change }
}
