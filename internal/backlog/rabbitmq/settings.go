package rabbitmq

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/management"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/tap"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// The SASL mechanisms.
const (
	saslPlain    = "plain"
	saslExternal = "external"
)

// The defaults of the settings.
const (
	managementInterval = 5 * time.Second
	// quorumTick is that of the server:
	// https://www.rabbitmq.com/docs/quorum-queues#configuration-settings (quorum_tick_interval).
	quorumTick   = 5 * time.Second
	idlePoll     = 100 * time.Millisecond
	dialTimeout  = 2 * time.Second
	heartbeat    = 5 * time.Second
	inFlightHold = time.Minute
)

// The least values of settings: of AMQP, which has whole seconds, and of what a server can bear.
const (
	minHeartbeat          = time.Second
	minManagementInterval = 100 * time.Millisecond
)

// maxVhost is the longest name of a virtual host, that of a short string of AMQP.
const maxVhost = 255

func settings() []backlog.Parameter {
	return slices.Concat([]backlog.Parameter{
		{Name: "addresses", Kind: backlog.KindAddresses, Required: true, Doc: "Addresses of the nodes for AMQP, whose port is 5672 as a rule, 5671 with TLS. One of them is connected to, another one if that fails."},
		streamAddressesSetting(),
		{Name: "vhost", Kind: backlog.KindText, Default: "/", Doc: "Virtual host of the queues."},
		{Name: "sasl", Kind: backlog.KindChoice, Allowed: []string{saslPlain, saslExternal}, Default: saslPlain, Doc: "How the user is authenticated. external takes the user from the client certificate."},
		{Name: "username", Kind: backlog.KindText, Doc: "User, also of the management API."},
		{Name: "password", Kind: backlog.KindSecret, Doc: "Password of the user."},
		{Name: "managementURL", Kind: backlog.KindText, Doc: `Address of the management API, such as "http://rabbitmq:15672". Without it messages in flight are unknown, patterns are rejected, and an empty queue is believed only after ten seconds.`},
		{Name: "managementUsername", Kind: backlog.KindText, Doc: "User of the management API, where it is another one."},
		{Name: "managementPassword", Kind: backlog.KindSecret, Doc: "Password of that user."},
		{Name: "managementInterval", Kind: backlog.KindDuration, Default: managementInterval.String(), Doc: "How often the management API lists the queues, at least 100ms."},
		{Name: "quorumTick", Kind: backlog.KindDuration, Default: quorumTick.String(), Doc: "quorum_tick_interval of the server: how old its numbers of messages in flight of a quorum queue may be."},
		{Name: "inFlightHold", Kind: backlog.KindDuration, Default: inFlightHold.String(), Doc: "Without `managementURL`: for how long after messages were ready a queue with consumers counts as having one message in flight."},
		tlsconfig.Switch(),
	}, tlsconfig.Settings("the host that is dialled"), []backlog.Parameter{
		{Name: "connectionName", Kind: backlog.KindText, Default: "backlog-scaler", Doc: "Name of the connection that the server shows."},
		{Name: "heartbeat", Kind: backlog.KindDuration, Default: heartbeat.String(), Doc: "Heartbeat interval of AMQP, at least 1s."},
		{Name: "idlePoll", Kind: backlog.KindDuration, Default: idlePoll.String(), Doc: "How often an idle queue is read if its messages are not noticed."},
		{Name: tap.SettingAllow, Kind: backlog.KindBool, Default: "false", Doc: "Triggers may tap exchanges (`wakeUp: tap`), which sends the scaler a copy of messages for idle queues. It needs `managementURL` and further rights."},
		{Name: "dialTimeout", Kind: backlog.KindDuration, Default: dialTimeout.String(), Doc: "Bound of connecting to a server."},
		{Name: "answerTimeout", Kind: backlog.KindDuration, Default: dialer.AnswerTimeout.String(), Doc: "Bound of one answer of a server, within the bound of the whole read."},
	})
}

// A config is the settings of a connection, ready for use.
type config struct {
	dialer.Config

	connection string
	addresses  []string
	streams    []string // addresses for the stream protocol
	idlePoll   time.Duration
	// managed reports whether there is a management API, and interval is how often it is asked.
	managed  bool
	interval time.Duration
	tick     time.Duration
	hold     time.Duration
	// taps reports that taps are allowed.
	taps bool
}

func newConfig(c backlog.Connection) (*config, error) {
	s := c.Settings
	if err := check(s); err != nil {
		return nil, err
	}
	cfg := &config{
		Config: dialer.Config{
			Vhost:       cmp.Or(s.Text("vhost"), "/"),
			External:    s.Text("sasl") == saslExternal,
			Username:    s.Text("username"),
			Password:    s.Secret("password"),
			Name:        cmp.Or(s.Text("connectionName"), "backlog-scaler"),
			Heartbeat:   cmp.Or(s.Duration("heartbeat"), heartbeat),
			DialTimeout: cmp.Or(s.Duration("dialTimeout"), dialTimeout),
			Answer:      cmp.Or(s.Duration("answerTimeout"), dialer.AnswerTimeout),
		},
		connection: c.Name,
		addresses:  s.List("addresses"),
		streams:    s.List("streamAddresses"),
		idlePoll:   cmp.Or(s.Duration("idlePoll"), idlePoll),
		managed:    s.Text("managementURL") != "",
		interval:   cmp.Or(s.Duration("managementInterval"), managementInterval),
		tick:       cmp.Or(s.Duration("quorumTick"), quorumTick),
		hold:       cmp.Or(s.Duration("inFlightHold"), inFlightHold),
		taps:       s.Bool(tap.SettingAllow),
	}
	if tlsconfig.Enabled(s) {
		secure, err := tlsconfig.New(s)
		if err != nil {
			return nil, err
		}
		cfg.TLS = secure
	}
	return cfg, nil
}

// check reports settings that do not go together.
func check(s backlog.Settings) error {
	return errors.Join(checkLogin(s), checkDurations(s), checkTLS(s), checkManagement(s))
}

func checkLogin(s backlog.Settings) error {
	external := s.Text("sasl") == saslExternal
	return backlog.JoinFaults(
		backlog.Fault{Present: len(s.List("addresses")) == 0, Text: "addresses: at least one is needed"},
		backlog.Fault{Present: !external && s.Text("username") == "", Text: "username: needed with sasl: plain"},
		backlog.Fault{Present: s.Text("username") != "" && !s.Secret("password").IsSet(), Text: "username: needs a password"},
		backlog.Fault{Present: s.Text("username") == "" && s.Secret("password").IsSet(), Text: "password: needs a username"},
		backlog.Fault{Present: external && s.Text("username") != "", Text: "username: not used with sasl: external; the user of the management API is managementUsername"},
		backlog.Fault{Present: external && !tlsconfig.Enabled(s), Text: "sasl: external needs tls: true with a client certificate"},
		backlog.Fault{Present: len(s.Text("vhost")) > maxVhost, Text: fmt.Sprintf("vhost: want at most %d bytes", maxVhost)},
	)
}

func checkDurations(s backlog.Settings) error {
	interval, beat := s.Duration("managementInterval"), s.Duration("heartbeat")
	return backlog.JoinFaults(
		backlog.Fault{Present: interval != 0 && interval < minManagementInterval, Text: fmt.Sprintf("managementInterval: is %s, want at least %s", interval, minManagementInterval)},
		backlog.Fault{Present: beat != 0 && beat < minHeartbeat, Text: fmt.Sprintf("heartbeat: is %s, want at least %s", beat, minHeartbeat)},
	)
}

// checkTLS is that of tlsconfig, whose settings serve the management API too.
func checkTLS(s backlog.Settings) error {
	secure := tlsconfig.Enabled(s) || strings.HasPrefix(strings.ToLower(s.Text("managementURL")), "https:")
	return tlsconfig.Check(s, secure, "tls: must be true, or managementURL begin with https://, for the other tls settings to have an effect")
}

// checkManagement reports what is wrong with the settings of the management API.
func checkManagement(s backlog.Settings) error {
	if s.Text("managementURL") == "" {
		return backlog.JoinFaults(
			backlog.Fault{Present: s.Text("managementUsername") != "" || s.Secret("managementPassword").IsSet(), Text: "managementUsername, managementPassword: need a managementURL"},
			backlog.Fault{Present: s.Bool(tap.SettingAllow), Text: tap.SettingAllow + ": needs a managementURL, which knows the types of exchanges and the policies"},
			backlog.Fault{Present: s.Duration("managementInterval") != 0 && s.Duration("managementInterval") != managementInterval, Text: "managementInterval: needs a managementURL"},
		)
	}
	err := backlog.JoinFaults(
		backlog.Fault{Present: (s.Text("managementUsername") == "") != !s.Secret("managementPassword").IsSet(), Text: "managementUsername, managementPassword: each needs the other"},
		backlog.Fault{Present: s.Text("managementUsername") == "" && s.Text("username") == "", Text: "managementUsername: needed with sasl: external"},
	)
	return errors.Join(err, management.CheckSettings(s))
}

// checkPatterns reports a query that needs the management API where there is none.
func checkPatterns(s backlog.Settings, q backlog.Query) error {
	if s.Text("managementURL") != "" {
		return nil
	}
	queues, err := backlog.ParseQueues(q.Queue)
	if err != nil {
		return fmt.Errorf("%s: %w", layoutQueue, err)
	}
	for _, name := range queues {
		if backlog.IsPattern(name) {
			return fmt.Errorf("%s: %q is a pattern, which needs managementURL in the settings of the connection", layoutQueue, name)
		}
	}
	return nil
}

// checkOn reports a query that a connection with these settings cannot be asked.
func checkOn(s backlog.Settings, q backlog.Query) error {
	if err := tap.CheckOn(s, q); err != nil {
		return err
	}
	return checkPatterns(s, q)
}

// perNamespace reports whether queries are those of a namespace each: its taps are limited.
func perNamespace(s backlog.Settings) bool { return s.Bool(tap.SettingAllow) }
