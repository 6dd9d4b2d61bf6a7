package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// The values of the setting saslMechanism.
const (
	mechanismNone     = "none"
	mechanismPlain    = "PLAIN"
	mechanismScram256 = "SCRAM-SHA-256"
	mechanismScram512 = "SCRAM-SHA-512"
	mechanismOAuth    = "OAUTHBEARER"
)

// The values of the setting wakeUp.
const (
	wakeFetch = "fetch"
	wakePoll  = "poll"
)

const (
	// answerTimeout is half of the time that a whole read has as a rule, so that a broker that does
	// not answer leaves time to ask the others.
	answerTimeout = time.Second
	// maxAnswer bounds what a broker may answer at once, in bytes: the description of half a million
	// partitions.
	maxAnswer = 32 << 20
	// clientName is what brokers call this program in their logs and quotas.
	clientName = "backlog-scaler"
)

// settings are the keys of a connection.
func settings() []backlog.Parameter {
	return slices.Concat([]backlog.Parameter{
		{Name: "addresses", Kind: backlog.KindAddresses, Required: true, Doc: "Addresses of some brokers, which name the others. An IPv6 address stands in brackets, and a URL is refused."},
		{Name: "saslMechanism", Kind: backlog.KindChoice, Allowed: []string{mechanismNone, mechanismPlain, mechanismScram256, mechanismScram512, mechanismOAuth}, Default: mechanismNone, Doc: "How to log in."},
		{Name: "username", Kind: backlog.KindText, Doc: "User of PLAIN and SCRAM."},
		{Name: "password", Kind: backlog.KindSecret, Doc: "Password of the user."},
		{Name: "token", Kind: backlog.KindSecret, Doc: "Token of OAUTHBEARER. A file is read again when it changes."},
		tlsconfig.Switch(),
	}, tlsconfig.Settings("the host that is dialled"), []backlog.Parameter{
		{Name: "clientID", Kind: backlog.KindText, Default: clientName, Doc: "Client id that brokers see."},
		{Name: "wakeUp", Kind: backlog.KindChoice, Allowed: []string{wakeFetch, wakePoll}, Default: wakeFetch, Doc: "How changes are noticed: `fetch` waits at the end of idle partitions, as a consumer without a group, which needs READ on the topic; `poll` reads every `idlePoll`."},
		{Name: "idlePoll", Kind: backlog.KindDuration, Default: "250ms", Doc: "How often an idle topic is read if its changes cannot be noticed."},
		{Name: "dialTimeout", Kind: backlog.KindDuration, Default: "1s", Doc: "Bound of connecting to a broker."},
		{Name: "answerTimeout", Kind: backlog.KindDuration, Default: answerTimeout.String(), Doc: "Bound of one answer of a broker, from 100ms to 15m, within the bound of the whole read. A broker that exceeds it is not waited for until it answers again."},
	})
}

// check reports settings that do not go together.
func check(s backlog.Settings) error {
	mechanism := cmp.Or(s.Text("saslMechanism"), mechanismNone)
	user, password, token := s.Text("username") != "", s.Secret("password").IsSet(), s.Secret("token").IsSet()
	byPassword := mechanism != mechanismNone && mechanism != mechanismOAuth
	answer := cmp.Or(s.Duration("answerTimeout"), answerTimeout)
	return errors.Join(backlog.JoinFaults(
		backlog.Fault{Present: len(s.List("addresses")) == 0, Text: "addresses: at least one is needed"},
		backlog.Fault{Present: byPassword && (!user || !password), Text: fmt.Sprintf("saslMechanism: %s needs username and password", mechanism)},
		backlog.Fault{Present: !byPassword && (user || password), Text: "username, password: only with saslMechanism PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"},
		backlog.Fault{Present: mechanism == mechanismOAuth && !token, Text: "saslMechanism: OAUTHBEARER needs token"},
		backlog.Fault{Present: mechanism != mechanismOAuth && token, Text: "token: only with saslMechanism OAUTHBEARER"},
		backlog.Fault{Present: answer < 100*time.Millisecond || answer > 15*time.Minute, Text: "answerTimeout: want from 100ms to 15m"},
	), tlsconfig.CheckSwitched(s))
}

// A dialer connects to a broker.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// newClient returns a client of the library. It connects when it is used.
func newClient(s backlog.Settings, dial dialer, hook kgo.Hook) (*kgo.Client, error) {
	if err := check(s); err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(s.List("addresses")...),
		kgo.ClientID(cmp.Or(s.Text("clientID"), clientName)),
		kgo.SoftwareNameAndVersion(clientName, "1"),
		kgo.RequestTimeoutOverhead(cmp.Or(s.Duration("answerTimeout"), answerTimeout)),
		kgo.BrokerMaxReadBytes(maxAnswer), kgo.FetchMaxBytes(maxAnswer),
		// The callers decide what to ask again, and which broker.
		kgo.RequestRetries(0),
		kgo.DisableClientMetrics(),
		// Reads and fetches use their connections more often.
		kgo.ConnIdleTimeout(2 * time.Minute),
		kgo.WithHooks(hook),
		kgo.MinVersions(minVersions()), kgo.MaxVersions(maxVersions()),
	}
	dialTimeout := cmp.Or(s.Duration("dialTimeout"), time.Second)
	switch {
	case dial != nil:
		opts = append(opts, kgo.Dialer(dial))
	case tlsconfig.Enabled(s):
		config, err := tlsconfig.New(s)
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(config), kgo.DialTimeout(dialTimeout))
	default:
		opts = append(opts, kgo.DialTimeout(dialTimeout))
	}
	if login := login(s); login != nil {
		opts = append(opts, kgo.SASL(login))
	}
	return kgo.NewClient(opts...)
}

// login returns how to log in; nil if the connection does not.
func login(s backlog.Settings) sasl.Mechanism {
	user, password := s.Text("username"), s.Secret("password").Reveal()
	switch s.Text("saslMechanism") {
	case mechanismPlain:
		return plain.Auth{User: user, Pass: password}.AsMechanism()
	case mechanismScram256:
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	case mechanismScram512:
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	case mechanismOAuth:
		return oauth.Auth{Token: strings.TrimSpace(s.Secret("token").Reveal())}.AsMechanism()
	default:
		return nil
	}
}

// minVersions are those of Kafka 3.0, which takes many groups in one request:
// https://cwiki.apache.org/confluence/x/kohqB (KIP-709) and KIP-699.
func minVersions() *kversion.Versions {
	v := new(kversion.Versions)
	v.SetMaxKeyVersion(int16(kmsg.OffsetFetch), 8)
	v.SetMaxKeyVersion(int16(kmsg.FindCoordinator), 4)
	v.SetMaxKeyVersion(int16(kmsg.Fetch), 12)
	return v
}

// maxVersions keeps to the versions that name topics. Later ones name ids, which a broker may not
// know yet when another one has created the topic.
func maxVersions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.OffsetFetch), 9)
	v.SetMaxKeyVersion(int16(kmsg.Fetch), 12)
	return v
}
