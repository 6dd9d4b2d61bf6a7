package redis

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// unsupportedRetry is how long changes are noticed in less than the best way, or not at all,
// before what the server has refused is tried again.
const unsupportedRetry = time.Minute

// settings are the keys of a connection.
func settings() []backlog.Parameter {
	speaksTLS := tlsconfig.Switch()
	speaksTLS.Doc = "Speak TLS, to the sentinels too."
	return slices.Concat([]backlog.Parameter{
		{Name: "addresses", Kind: backlog.KindAddresses, Required: true, Doc: `Address of the server; in sentinel mode of the sentinels, in cluster mode of some nodes of the cluster. An IPv6 address stands in brackets, and a URL is refused.`},
		{Name: "mode", Kind: backlog.KindChoice, Allowed: []string{conn.ModeStandalone, conn.ModeSentinel, conn.ModeCluster}, Default: conn.ModeStandalone, Doc: "How the servers are organised."},
		{Name: "masterName", Kind: backlog.KindText, Doc: "Name of the master group in sentinel mode."},
		{Name: "database", Kind: backlog.KindInteger, Min: 0, Max: 1 << 20, Default: "0", Doc: "Number of the database. A cluster has only database 0."},
		{Name: "username", Kind: backlog.KindText, Doc: "ACL user; without one the password is that of the default user."},
		{Name: "password", Kind: backlog.KindSecret, Doc: "Password of the user."},
		{Name: "sentinelUsername", Kind: backlog.KindText, Doc: "ACL user on the sentinels."},
		{Name: "sentinelPassword", Kind: backlog.KindSecret, Doc: "Password on the sentinels."},
		speaksTLS,
	}, tlsconfig.Settings("the host that is dialled"), []backlog.Parameter{
		{Name: "clientName", Kind: backlog.KindText, Default: "backlog-scaler", Doc: "Name that the server's CLIENT LIST shows."},
		{Name: "wakeUp", Kind: backlog.KindChoice, Allowed: []string{conn.WakeAuto, conn.WakeTracking, conn.WakeKeyspace, conn.WakePoll}, Default: conn.WakeAuto, Doc: "How changes are noticed. auto takes client tracking, else keyspace notifications where the server has them on, else polling."},
		{Name: "idlePoll", Kind: backlog.KindDuration, Default: "100ms", Doc: "How often an idle queue is read if its changes cannot be noticed."},
		{Name: "dialTimeout", Kind: backlog.KindDuration, Default: "2s", Doc: "Bound of connecting to a server."},
		{Name: "answerTimeout", Kind: backlog.KindDuration, Default: "2s", Doc: "Bound of one answer of a server, within the bound of the whole read."},
	})
}

// check reports settings that do not go together.
func check(s backlog.Settings) error {
	return errors.Join(checkMode(s), checkLogins(s), tlsconfig.CheckSwitched(s))
}

func checkMode(s backlog.Settings) error {
	mode := cmp.Or(s.Text("mode"), conn.ModeStandalone)
	return backlog.JoinFaults(
		backlog.Fault{Present: len(s.List("addresses")) == 0, Text: "addresses: at least one is needed"},
		backlog.Fault{Present: mode == conn.ModeStandalone && len(s.List("addresses")) > 1, Text: `addresses: more than one needs mode "sentinel" or "cluster"`},
		backlog.Fault{Present: mode == conn.ModeSentinel && s.Text("masterName") == "", Text: `masterName: needed in mode "sentinel"`},
		backlog.Fault{Present: s.Text("masterName") != "" && !masterName.MatchString(s.Text("masterName")), Text: "masterName: want letters, digits, dots, dashes and underscores, as Sentinel does"},
		backlog.Fault{Present: mode != conn.ModeSentinel && s.Text("masterName") != "", Text: `masterName: only for mode "sentinel"`},
		backlog.Fault{Present: mode == conn.ModeCluster && s.Integer("database") != 0, Text: "database: a cluster has only database 0"},
	)
}

// masterName is a name that Sentinel accepts.
var masterName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func checkLogins(s backlog.Settings) error {
	sentinel := s.Text("sentinelUsername") != "" || s.Secret("sentinelPassword").IsSet()
	return backlog.JoinFaults(
		backlog.Fault{Present: s.Text("mode") != conn.ModeSentinel && sentinel, Text: `sentinelUsername, sentinelPassword: only for mode "sentinel"`},
		backlog.Fault{Present: s.Text("username") != "" && !s.Secret("password").IsSet(), Text: "username: needs a password"},
		backlog.Fault{Present: s.Text("sentinelUsername") != "" && !s.Secret("sentinelPassword").IsSet(), Text: "sentinelUsername: needs a sentinelPassword"},
	)
}

// newConfig makes the settings of a connection ready for use.
func newConfig(c backlog.Connection) (*conn.Config, error) {
	s := c.Settings
	if err := check(s); err != nil {
		return nil, err
	}
	cfg := &conn.Config{
		Mode:             cmp.Or(s.Text("mode"), conn.ModeStandalone),
		Addresses:        s.List("addresses"),
		MasterName:       s.Text("masterName"),
		Database:         int(s.Integer("database")),
		ClientName:       cmp.Or(s.Text("clientName"), "backlog-scaler"),
		WakeUp:           cmp.Or(s.Text("wakeUp"), conn.WakeAuto),
		Login:            conn.Login{Username: s.Text("username"), Password: s.Secret("password")},
		SentinelLogin:    conn.Login{Username: s.Text("sentinelUsername"), Password: s.Secret("sentinelPassword")},
		IdlePoll:         cmp.Or(s.Duration("idlePoll"), 100*time.Millisecond),
		DialTimeout:      cmp.Or(s.Duration("dialTimeout"), 2*time.Second),
		AnswerTimeout:    cmp.Or(s.Duration("answerTimeout"), 2*time.Second),
		UnsupportedRetry: unsupportedRetry,
		Prober:           conn.NewProber(),
	}
	if tlsconfig.Enabled(s) {
		settings, err := tlsconfig.New(s)
		if err != nil {
			return nil, err
		}
		cfg.TLS = settings
	}
	return cfg, nil
}
