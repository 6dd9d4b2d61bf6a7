package postgresql

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// The keys of a connection.
const (
	settingAddresses    = "addresses"
	settingDatabase     = "database"
	settingUsername     = "username"
	settingPassword     = "password"
	settingTarget       = "target"
	settingListen       = "listenAddresses"
	settingWakeUp       = "wakeUp"
	settingAllowQueries = "allowQueries"
	settingLimit        = "countLimit"
	settingStatement    = "statementTimeout"
	settingIdlePoll     = "idlePoll"
	settingDial         = "dialTimeout"
	settingName         = "applicationName"
)

// The values of target and wakeUp.
const (
	targetAny     = "any"
	targetPrimary = "primary"
	targetStandby = "standby"

	wakeAuto = "auto"
	wakePoll = "poll"
)

const (
	// maxMessage bounds one message of the server, in bytes: a row of the user's SQL is the longest.
	maxMessage = 1 << 20
	// maxExchange bounds all that the server sends until the next statement, in bytes. 10,000 queues
	// take some 2 MB.
	maxExchange = 16 << 20
)

// settings are the keys of a connection.
func settings() []backlog.Parameter {
	return slices.Concat([]backlog.Parameter{
		{Name: settingAddresses, Kind: backlog.KindAddresses, Required: true, Doc: "Address of the server or of a pooler, or of several servers that are asked in this order. The port is 5432 as a rule."},
		{Name: settingDatabase, Kind: backlog.KindText, Required: true, Doc: "Name of the database."},
		{Name: settingUsername, Kind: backlog.KindText, Required: true, Doc: "User, who needs rights to read alone."},
		{Name: settingPassword, Kind: backlog.KindSecret, Doc: "Password of the user."},
		tlsconfig.Switch(),
	}, tlsconfig.Settings("the host that is dialled"), []backlog.Parameter{
		{Name: settingTarget, Kind: backlog.KindChoice, Allowed: []string{targetPrimary, targetStandby, targetAny}, Doc: "Which of several servers is read, required if there are several. Without it a standby is refused, because its data may be old. With `standby` and `any` a standby is accepted, and its readings have a warning."},
		{Name: settingListen, Kind: backlog.KindAddresses, Doc: "Address for the connection that listens, where `addresses` are those of a pooler: notifications do not pass through PgBouncer in transaction mode."},
		{Name: settingWakeUp, Kind: backlog.KindChoice, Allowed: []string{wakeAuto, wakePoll}, Default: wakeAuto, Doc: "How changes are noticed. auto listens to the notifications of the frameworks, and polls what does not notify."},
		{Name: settingAllowQueries, Kind: backlog.KindBool, Default: "false", Doc: "Whether triggers may use the layout `query`, with SQL of their own. It is run with the rights of the user."},
		{Name: settingLimit, Kind: backlog.KindInteger, Min: 1, Max: 1_000_000, Default: "10000", Doc: "Number at which each count of rows stops. The backlog is at least that then, and a larger one would cost more to count."},
		{Name: settingStatement, Kind: backlog.KindDuration, Default: "2s", Doc: "Bound of each statement on the server."},
		{Name: settingIdlePoll, Kind: backlog.KindDuration, Default: "250ms", Doc: "How often an idle queue is read if its changes cannot be noticed."},
		{Name: settingDial, Kind: backlog.KindDuration, Default: "2s", Doc: "Bound of connecting to a server."},
		{Name: settingName, Kind: backlog.KindText, Default: "backlog-scaler", Doc: "Name that pg_stat_activity shows."},
	})
}

// printable is a name without control characters, as the start of a session sends it.
var printable = regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`)

// maxName is the length of a name in PostgreSQL, in bytes.
const maxName = 63

func isName(name string) bool { return len(name) <= maxName && printable.MatchString(name) }

// check reports settings that do not go together.
func check(s backlog.Settings) error {
	addresses := s.List(settingAddresses)
	name := s.Text(settingName)
	statement, set := s.Duration(settingStatement), s.Text(settingTarget) != ""
	return errors.Join(backlog.JoinFaults(
		backlog.Fault{Present: len(addresses) == 0, Text: "addresses: at least one is needed"},
		backlog.Fault{Present: len(addresses) > 1 && !set, Text: "target: needed with more than one address"},
		backlog.Fault{Present: !isName(s.Text(settingDatabase)), Text: "database: want a name of 1 to 63 visible characters"},
		backlog.Fault{Present: !isName(s.Text(settingUsername)), Text: "username: want a name of 1 to 63 visible characters"},
		backlog.Fault{Present: name != "" && !isName(name), Text: "applicationName: want a name of 1 to 63 visible characters"},
		backlog.Fault{Present: statement > 0 && (statement < 10*time.Millisecond || statement > time.Minute), Text: "statementTimeout: want a duration from 10ms to 1m"},
		backlog.Fault{Present: s.Text(settingWakeUp) == wakePoll && len(s.List(settingListen)) > 0, Text: "listenAddresses: nothing listens with wakeUp: poll"},
	), tlsconfig.CheckSwitched(s))
}

// A config is the settings of a connection, ready for use.
type config struct {
	// name is that of the connection.
	name             string
	read, listen     *pgconn.Config
	dialTimeout      time.Duration
	statementTimeout time.Duration
	idlePoll         time.Duration
	limit            int64
	queries, poll    bool
	// standby reports that a standby is accepted.
	standby bool
	// schemes of advice.
	username string
	tls      bool
}

// newConfig makes the settings of a connection ready for use.
func newConfig(c backlog.Connection) (*config, error) {
	s := c.Settings
	if err := check(s); err != nil {
		return nil, err
	}
	cfg := &config{
		name:             c.Name,
		dialTimeout:      cmp.Or(s.Duration(settingDial), 2*time.Second),
		statementTimeout: cmp.Or(s.Duration(settingStatement), 2*time.Second),
		idlePoll:         cmp.Or(s.Duration(settingIdlePoll), 250*time.Millisecond),
		limit:            cmp.Or(s.Integer(settingLimit), 10_000),
		queries:          s.Bool(settingAllowQueries),
		poll:             s.Text(settingWakeUp) == wakePoll,
		standby:          s.Text(settingTarget) == targetStandby || s.Text(settingTarget) == targetAny,
		username:         s.Text(settingUsername),
		tls:              tlsconfig.Enabled(s),
	}
	addresses := s.List(settingAddresses)
	var err error
	if cfg.read, err = clientConfig(s, addresses); err != nil {
		return nil, err
	}
	if direct := s.List(settingListen); len(direct) > 0 {
		addresses = direct
	}
	cfg.listen, err = clientConfig(s, addresses)
	return cfg, err
}

// clientConfig returns the settings of the client library. It insists on parsing a text, in which it
// mixes what its environment has, so each field is set again.
func clientConfig(s backlog.Settings, addresses []string) (*pgconn.Config, error) {
	c, err := pgconn.ParseConfig("host=localhost port=5432 user=u dbname=d password=p sslmode=disable target_session_attrs=any passfile=/dev/null")
	if err != nil {
		return nil, fmt.Errorf("settings of the client, which its environment may contradict: %w", err)
	}
	c.Database, c.User, c.Password = s.Text(settingDatabase), s.Text(settingUsername), s.Secret(settingPassword).Reveal()
	c.RuntimeParams = map[string]string{"application_name": cmp.Or(s.Text(settingName), "backlog-scaler"), "client_encoding": "UTF8"}
	c.TLSConfig, c.Fallbacks, c.KerberosSrvName, c.KerberosSpn, c.SSLNegotiation = nil, nil, "", "", ""
	c.MaxProtocolMessageBodyLen = maxMessage
	switch s.Text(settingTarget) {
	case targetPrimary:
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	case targetStandby:
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsStandby
	default:
		c.ValidateConnect = nil
	}
	for i, address := range addresses {
		one, err := endpointOf(s, address)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			c.Host, c.Port, c.TLSConfig = one.Host, one.Port, one.TLSConfig
			continue
		}
		c.Fallbacks = append(c.Fallbacks, one)
	}
	return c, nil
}

// endpointOf returns one server.
func endpointOf(s backlog.Settings, address string) (*pgconn.FallbackConfig, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%s: %q: %w", settingAddresses, address, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s: %q: %w", settingAddresses, address, err)
	}
	one := &pgconn.FallbackConfig{Host: strings.Trim(host, "[]"), Port: uint16(n)}
	if tlsconfig.Enabled(s) {
		if one.TLSConfig, err = tlsconfig.New(s); err != nil {
			return nil, err
		}
		one.TLSConfig.ServerName = cmp.Or(one.TLSConfig.ServerName, one.Host)
	}
	return one, nil
}
