package redis

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
)

// unsupportedRetry is how long changes are noticed in less than the best way, or not at all,
// before what the server has refused is tried again.
const unsupportedRetry = time.Minute

// settings are the keys of a connection.
func settings() []backlog.Parameter {
	return []backlog.Parameter{
		{Name: "addresses", Kind: backlog.KindAddresses, Required: true, Doc: `Address of the server; in sentinel mode of the sentinels, in cluster mode of some nodes of the cluster. An IPv6 address stands in brackets, and a URL is refused.`},
		{Name: "mode", Kind: backlog.KindChoice, Allowed: []string{conn.ModeStandalone, conn.ModeSentinel, conn.ModeCluster}, Default: conn.ModeStandalone, Doc: "How the servers are organised."},
		{Name: "masterName", Kind: backlog.KindText, Doc: "Name of the master group in sentinel mode."},
		{Name: "database", Kind: backlog.KindInteger, Min: 0, Max: 1 << 20, Default: "0", Doc: "Number of the database. A cluster has only database 0."},
		{Name: "username", Kind: backlog.KindText, Doc: "ACL user; without one the password is that of the default user."},
		{Name: "password", Kind: backlog.KindSecret, Doc: "Password of the user."},
		{Name: "sentinelUsername", Kind: backlog.KindText, Doc: "ACL user on the sentinels."},
		{Name: "sentinelPassword", Kind: backlog.KindSecret, Doc: "Password on the sentinels."},
		{Name: "tls", Kind: backlog.KindBool, Default: "false", Doc: "Speak TLS, to the sentinels too."},
		{Name: "tlsCAFile", Kind: backlog.KindFile, Doc: "Certificates (PEM) of the authorities to trust, instead of the system's."},
		{Name: "tlsCertFile", Kind: backlog.KindFile, Doc: "Client certificate (PEM)."},
		{Name: "tlsKeyFile", Kind: backlog.KindFile, Doc: "Private key (PEM) of the client certificate."},
		{Name: "tlsServerName", Kind: backlog.KindText, Doc: "Name that the server's certificate must have, where it is not the host that is dialled."},
		{Name: "tlsInsecureSkipVerify", Kind: backlog.KindBool, Default: "false", Doc: "Accept any certificate. For experiments only."},
		{Name: "clientName", Kind: backlog.KindText, Default: "backlog-scaler", Doc: "Name that the server's CLIENT LIST shows."},
		{Name: "wakeUp", Kind: backlog.KindChoice, Allowed: []string{conn.WakeAuto, conn.WakeTracking, conn.WakeKeyspace, conn.WakePoll}, Default: conn.WakeAuto, Doc: "How changes are noticed. auto takes client tracking, else keyspace notifications where the server has them on, else polling."},
		{Name: "idlePoll", Kind: backlog.KindDuration, Default: "100ms", Doc: "How often an idle queue is read if its changes cannot be noticed."},
		{Name: "dialTimeout", Kind: backlog.KindDuration, Default: "2s", Doc: "Bound of connecting to a server."},
		{Name: "answerTimeout", Kind: backlog.KindDuration, Default: "2s", Doc: "Bound of one answer of a server, within the bound of the whole read."},
	}
}

// check reports settings that do not go together.
func check(s backlog.Settings) error {
	return errors.Join(checkMode(s), checkLogins(s), checkTLS(s))
}

// A fault is a text for the author of the configuration, if it is there.
type fault struct {
	there bool
	text  string
}

func join(faults []fault) error {
	var errs []error
	for _, f := range faults {
		if f.there {
			errs = append(errs, errors.New(f.text))
		}
	}
	return errors.Join(errs...)
}

func checkMode(s backlog.Settings) error {
	mode := cmp.Or(s.Text("mode"), conn.ModeStandalone)
	return join([]fault{
		{len(s.List("addresses")) == 0, "addresses: at least one is needed"},
		{mode == conn.ModeStandalone && len(s.List("addresses")) > 1, `addresses: more than one needs mode "sentinel" or "cluster"`},
		{mode == conn.ModeSentinel && s.Text("masterName") == "", `masterName: needed in mode "sentinel"`},
		{s.Text("masterName") != "" && !masterName.MatchString(s.Text("masterName")), "masterName: want letters, digits, dots, dashes and underscores, as Sentinel does"},
		{mode != conn.ModeSentinel && s.Text("masterName") != "", `masterName: only for mode "sentinel"`},
		{mode == conn.ModeCluster && s.Integer("database") != 0, "database: a cluster has only database 0"},
	})
}

// masterName is a name that Sentinel accepts.
var masterName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func checkLogins(s backlog.Settings) error {
	sentinel := s.Text("sentinelUsername") != "" || s.Secret("sentinelPassword").IsSet()
	return join([]fault{
		{s.Text("mode") != conn.ModeSentinel && sentinel, `sentinelUsername, sentinelPassword: only for mode "sentinel"`},
		{s.Text("username") != "" && !s.Secret("password").IsSet(), "username: needs a password"},
		{s.Text("sentinelUsername") != "" && !s.Secret("sentinelPassword").IsSet(), "sentinelUsername: needs a sentinelPassword"},
	})
}

func checkTLS(s backlog.Settings) error {
	cert, key, ca := s.File("tlsCertFile").Path != "", s.File("tlsKeyFile").Path != "", s.File("tlsCAFile").Path != ""
	err := join([]fault{
		{s.Text("tlsServerName") != "" && !backlog.IsHost(s.Text("tlsServerName")), "tlsServerName: want a host name or an IP address"},
		{cert != key, "tlsCertFile, tlsKeyFile: each needs the other"},
		{
			!s.Bool("tls") && (cert || key || ca || s.Text("tlsServerName") != "" || s.Bool("tlsInsecureSkipVerify")),
			"tls: must be true for the other tls settings to have an effect",
		},
	})
	if !s.Bool("tls") {
		return err
	}
	_, problem := newTLS(s)
	return errors.Join(err, problem)
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
	if s.Bool("tls") {
		settings, err := newTLS(s)
		if err != nil {
			return nil, err
		}
		cfg.TLS = settings
	}
	return cfg, nil
}

func newTLS(s backlog.Settings) (*tls.Config, error) {
	settings := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         s.Text("tlsServerName"),
		InsecureSkipVerify: s.Bool("tlsInsecureSkipVerify"), //nolint:gosec // asked for by name, documented as being for experiments
	}
	if ca := s.File("tlsCAFile"); ca.Path != "" {
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(ca.Data) {
			return nil, fmt.Errorf("tlsCAFile: no certificate in %q", ca.Path)
		}
	}
	cert, key := s.File("tlsCertFile"), s.File("tlsKeyFile")
	if cert.Path != "" && key.Path != "" {
		pair, err := tls.X509KeyPair(cert.Data, key.Data)
		if err != nil {
			return nil, fmt.Errorf("tlsCertFile %q, tlsKeyFile %q: %w", cert.Path, key.Path, err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}
