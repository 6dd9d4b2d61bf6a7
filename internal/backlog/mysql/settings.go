package mysql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// The keys of a connection.
const (
	settingAddress      = "address"
	settingDatabase     = "database"
	settingUsername     = "username"
	settingPassword     = "password"
	settingAllowReplica = "allowReplica"
	settingAllowQueries = "allowQueries"
	settingLimit        = "countLimit"
	settingStatement    = "statementTimeout"
	settingIdlePoll     = "idlePoll"
	settingDial         = "dialTimeout"
)

const (
	// maxPacket bounds one packet of the server, in bytes: a row of the user's SQL is the longest.
	maxPacket = 1 << 20
	// maxExchange bounds all that the server sends in one read, in bytes.
	maxExchange = 16 << 20
)

// settings are the keys of a connection.
func settings() []backlog.Parameter {
	return slices.Concat([]backlog.Parameter{
		{Name: settingAddress, Kind: backlog.KindText, Required: true, Doc: `Address "host:port" of the server. The port is 3306 as a rule.`},
		{Name: settingDatabase, Kind: backlog.KindText, Required: true, Doc: "Name of the database."},
		{Name: settingUsername, Kind: backlog.KindText, Required: true, Doc: "User, who needs rights to read alone."},
		{Name: settingPassword, Kind: backlog.KindSecret, Doc: "Password of the user."},
		tlsconfig.Switch(),
	}, tlsconfig.Settings("the host that is dialled"), []backlog.Parameter{
		{Name: settingAllowReplica, Kind: backlog.KindBool, Default: "false", Doc: "Accept a server that is read-only, as replicas are, whose data may be old. Its readings have a warning."},
		{Name: settingAllowQueries, Kind: backlog.KindBool, Default: "false", Doc: "Whether triggers may use the layout `query`, with SQL of their own. It is run with the rights of the user."},
		{Name: settingLimit, Kind: backlog.KindInteger, Min: 1, Max: 1_000_000, Default: "10000", Doc: "Number at which each count of rows stops. The backlog is at least that then, and a larger one would cost more to count."},
		{Name: settingStatement, Kind: backlog.KindDuration, Default: "2s", Doc: "Bound of each statement on the server."},
		{Name: settingIdlePoll, Kind: backlog.KindDuration, Default: "250ms", Doc: "How often an idle queue is read."},
		{Name: settingDial, Kind: backlog.KindDuration, Default: "2s", Doc: "Bound of connecting to the server."},
	})
}

// printable is a name without control characters.
var printable = regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`)

// maxName is the length of the name of a user in MariaDB, in bytes; other names are shorter.
const maxName = 80

func isName(name string) bool { return len(name) <= maxName && printable.MatchString(name) }

// check reports settings that do not go together.
func check(s backlog.Settings) error {
	statement := s.Duration(settingStatement)
	err := backlog.JoinFaults(
		backlog.Fault{Present: !isName(s.Text(settingDatabase)), Text: "database: want a name of 1 to 80 visible characters"},
		backlog.Fault{Present: !isName(s.Text(settingUsername)), Text: "username: want a name of 1 to 80 visible characters"},
		backlog.Fault{Present: statement > 0 && (statement < 10*time.Millisecond || statement > time.Minute), Text: "statementTimeout: want a duration from 10ms to 1m"},
	)
	if bad := backlog.CheckAddress(s.Text(settingAddress)); bad != nil {
		err = errors.Join(err, fmt.Errorf("%s: %w", settingAddress, bad))
	}
	return errors.Join(err, tlsconfig.CheckSwitched(s))
}

// A config is the settings of a connection, ready for use.
type config struct {
	// name is that of the connection.
	name             string
	client           *mysql.Config
	username         string
	statementTimeout time.Duration
	idlePoll         time.Duration
	limit            int64
	queries, replica bool
	tls              bool
}

// newConfig makes the settings of a connection ready for use. What the server sends is bounded by
// budget.
func newConfig(c backlog.Connection, budget *network.Budget) (*config, error) {
	s := c.Settings
	if err := check(s); err != nil {
		return nil, err
	}
	client := mysql.NewConfig()
	client.User, client.Passwd = s.Text(settingUsername), s.Secret(settingPassword).Reveal()
	client.Net, client.Addr, client.DBName = "tcp", s.Text(settingAddress), s.Text(settingDatabase)
	client.MaxAllowedPacket = maxPacket
	client.InterpolateParams = true // one round trip in place of two
	client.Logger = &mysql.NopLogger{}
	client.Timeout = cmp.Or(s.Duration(settingDial), 2*time.Second)
	dialer := &net.Dialer{KeepAlive: 15 * time.Second}
	client.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return budget.Bound(conn), nil
	}
	cfg := &config{
		name:             c.Name,
		client:           client,
		username:         client.User,
		statementTimeout: cmp.Or(s.Duration(settingStatement), 2*time.Second),
		idlePoll:         cmp.Or(s.Duration(settingIdlePoll), 250*time.Millisecond),
		limit:            cmp.Or(s.Integer(settingLimit), 10_000),
		queries:          s.Bool(settingAllowQueries),
		replica:          s.Bool(settingAllowReplica),
		tls:              tlsconfig.Enabled(s),
	}
	if cfg.tls {
		settings, err := tlsconfig.New(s)
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(client.Addr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", settingAddress, err)
		}
		settings.ServerName = cmp.Or(settings.ServerName, host)
		client.TLS = settings
	}
	return cfg, nil
}
