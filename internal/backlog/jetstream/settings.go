package jetstream

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// The values of the setting wakeUp.
const (
	wakeSubscribe = "subscribe"
	wakePoll      = "poll"
)

// The defaults of the settings.
const (
	idlePoll      = 250 * time.Millisecond
	dialTimeout   = 2 * time.Second
	answerTimeout = time.Second
	inboxPrefix   = "_INBOX"
	clientName    = "backlog-scaler"
)

// minAnswerTimeout is the least bound of an answer: servers delay the answer that there is no leader by
// up to half a second, so that a leader may answer first.
const minAnswerTimeout = 100 * time.Millisecond

func settings() []backlog.Parameter {
	return slices.Concat([]backlog.Parameter{
		{Name: "addresses", Kind: backlog.KindAddresses, Required: true, Doc: "Addresses of the servers for clients, whose port is 4222 as a rule. One of them is connected to, another one if that fails. A URL is refused."},
		{Name: "username", Kind: backlog.KindText, Doc: "User."},
		{Name: "password", Kind: backlog.KindSecret, Doc: "Password of the user."},
		{Name: "token", Kind: backlog.KindSecret, Doc: "Token, in place of a user."},
		{Name: "credentialsFile", Kind: backlog.KindFile, Doc: "Credentials (.creds) with the JWT and the seed of a user, as nsc writes them."},
		{Name: "nkeySeedFile", Kind: backlog.KindFile, Doc: "Seed of the NKey of a user."},
		tlsconfig.Switch(),
		{Name: "tlsHandshakeFirst", Kind: backlog.KindBool, Default: "false", Doc: "Begin with TLS, for a server with `handshake_first`."},
	}, tlsconfig.Settings("the host that is dialled"), []backlog.Parameter{
		{Name: "domain", Kind: backlog.KindText, Doc: "Domain of JetStream, where it is not that of the server. Idle queues are then polled."},
		{Name: "apiPrefix", Kind: backlog.KindText, Doc: `Prefix of the API where it is imported from another account, such as "JS.acme.API". Idle queues are then polled.`},
		{Name: "inboxPrefix", Kind: backlog.KindText, Default: inboxPrefix, Doc: "Prefix of the subject on which answers arrive; the user needs the right to subscribe to what begins with it."},
		{Name: "connectionName", Kind: backlog.KindText, Default: clientName, Doc: "Name of the connection that the server shows."},
		{Name: "wakeUp", Kind: backlog.KindChoice, Allowed: []string{wakeSubscribe, wakePoll}, Default: wakeSubscribe, Doc: "How changes are noticed: `subscribe` waits for the next message on the subjects of idle queues, which needs the right to subscribe to them; `poll` reads every `idlePoll`."},
		{Name: "idlePoll", Kind: backlog.KindDuration, Default: idlePoll.String(), Doc: "How often an idle queue is read if its changes cannot be noticed."},
		{Name: "dialTimeout", Kind: backlog.KindDuration, Default: dialTimeout.String(), Doc: "Bound of connecting to a server."},
		{Name: "answerTimeout", Kind: backlog.KindDuration, Default: answerTimeout.String(), Doc: "Bound of one answer, at least 100ms, within the bound of the whole read."},
	})
}

// A config is the settings of a connection, ready for use.
type config struct {
	connection string
	addresses  []string
	// login has the options of the library with the credentials.
	login []nats.Option
	tls   *tls.Config // nil without TLS
	// tlsFirst reports that TLS begins before the server speaks.
	tlsFirst bool
	// api is the prefix of the subjects of the API, with its last dot.
	api string
	// foreign is why the subjects of a stream may not be those of this account; empty if they are.
	foreign  string
	inbox    string
	name     string
	poll     bool
	idlePoll time.Duration
	dial     time.Duration
	answer   time.Duration
}

func newConfig(c backlog.Connection) (*config, error) {
	s := c.Settings
	if err := check(s); err != nil {
		return nil, err
	}
	cfg := &config{
		connection: c.Name,
		addresses:  s.List("addresses"),
		tlsFirst:   s.Bool("tlsHandshakeFirst"),
		api:        "$JS.API.",
		inbox:      cmp.Or(s.Text("inboxPrefix"), inboxPrefix),
		name:       cmp.Or(s.Text("connectionName"), clientName),
		poll:       s.Text("wakeUp") == wakePoll,
		idlePoll:   cmp.Or(s.Duration("idlePoll"), idlePoll),
		dial:       cmp.Or(s.Duration("dialTimeout"), dialTimeout),
		answer:     cmp.Or(s.Duration("answerTimeout"), answerTimeout),
	}
	if domain := s.Text("domain"); domain != "" {
		cfg.api, cfg.foreign = "$JS."+domain+".API.", "domain is set: messages of another domain may not reach the server"
	}
	if prefix := s.Text("apiPrefix"); prefix != "" {
		cfg.api, cfg.foreign = strings.TrimSuffix(prefix, ".")+".", "apiPrefix is set: the subjects of the stream may be those of another account"
	}
	if tlsconfig.Enabled(s) {
		secure, err := tlsconfig.New(s)
		if err != nil {
			return nil, err
		}
		cfg.tls = secure
	}
	login, err := newLogin(s)
	if err != nil {
		return nil, err
	}
	cfg.login = login
	return cfg, nil
}

// newLogin returns the credentials for the library. An error repeats nothing of a file.
func newLogin(s backlog.Settings) ([]nats.Option, error) {
	switch {
	case s.Text("username") != "":
		return []nats.Option{nats.UserInfo(s.Text("username"), s.Secret("password").Reveal())}, nil
	case s.Secret("token").IsSet():
		return []nats.Option{nats.Token(strings.TrimSpace(s.Secret("token").Reveal()))}, nil
	case s.File("credentialsFile").Path != "":
		data := s.File("credentialsFile").Data
		jwt, err := nkeys.ParseDecoratedJWT(data)
		if err == nil && strings.Count(jwt, ".") != 2 {
			err = errors.New("no JWT")
		}
		if err == nil {
			var pair nkeys.KeyPair
			if pair, err = nkeys.ParseDecoratedUserNKey(data); err == nil {
				pair.Wipe()
			}
		}
		if err != nil {
			return nil, fmt.Errorf("credentialsFile: %q does not hold the JWT and the seed of a user, as nsc writes them", s.File("credentialsFile").Path)
		}
		return []nats.Option{nats.UserCredentialBytes(data)}, nil
	case s.File("nkeySeedFile").Path != "":
		return newNKeyLogin(s.File("nkeySeedFile"))
	default:
		return nil, nil
	}
}

func newNKeyLogin(file backlog.File) ([]nats.Option, error) {
	pair, err := nkeys.ParseDecoratedNKey(file.Data)
	if err != nil {
		return nil, fmt.Errorf("nkeySeedFile: %q does not hold the seed of an NKey", file.Path)
	}
	public, err := pair.PublicKey()
	if err != nil || !nkeys.IsValidPublicUserKey(public) {
		return nil, fmt.Errorf("nkeySeedFile: %q does not hold the seed of a user, which begins with SU", file.Path)
	}
	return []nats.Option{nats.Nkey(public, pair.Sign)}, nil
}

// check reports settings that do not go together.
func check(s backlog.Settings) error {
	_, login := newLogin(s)
	return errors.Join(checkLogin(s), checkSubjects(s), login, tlsconfig.CheckSwitched(s))
}

func checkLogin(s backlog.Settings) error {
	ways := 0
	for _, is := range []bool{s.Text("username") != "", s.Secret("token").IsSet(), s.File("credentialsFile").Path != "", s.File("nkeySeedFile").Path != ""} {
		if is {
			ways++
		}
	}
	answer := s.Duration("answerTimeout")
	return backlog.JoinFaults(
		backlog.Fault{Present: len(s.List("addresses")) == 0, Text: "addresses: at least one is needed"},
		backlog.Fault{Present: ways > 1, Text: "username, token, credentialsFile, nkeySeedFile: exclude each other"},
		backlog.Fault{Present: s.Text("username") != "" && !s.Secret("password").IsSet(), Text: "username: needs a password"},
		backlog.Fault{Present: s.Text("username") == "" && s.Secret("password").IsSet(), Text: "password: needs a username"},
		backlog.Fault{Present: s.Bool("tlsHandshakeFirst") && !tlsconfig.Enabled(s), Text: "tlsHandshakeFirst: needs tls: true"},
		backlog.Fault{Present: answer != 0 && answer < minAnswerTimeout, Text: fmt.Sprintf("answerTimeout: is %s, want at least %s", answer, minAnswerTimeout)},
	)
}

// checkSubjects reports settings that are no part of a subject.
func checkSubjects(s backlog.Settings) error {
	wrong := func(name string) bool {
		text := s.Text(name)
		return text != "" && (checkSubject(strings.TrimSuffix(text, ".")) != nil || strings.ContainsAny(text, "*>"))
	}
	return backlog.JoinFaults(
		backlog.Fault{Present: s.Text("domain") != "" && s.Text("apiPrefix") != "", Text: "domain, apiPrefix: exclude each other"},
		backlog.Fault{Present: s.Text("domain") != "" && checkName(s.Text("domain")) != nil, Text: "domain: want one token of a subject"},
		backlog.Fault{Present: wrong("apiPrefix"), Text: `apiPrefix: want the beginning of a subject without wildcards, such as "JS.acme.API"`},
		backlog.Fault{Present: wrong("inboxPrefix") || strings.HasSuffix(s.Text("inboxPrefix"), "."), Text: `inboxPrefix: want the beginning of a subject without wildcards, such as "_INBOX.scaler"`},
	)
}
