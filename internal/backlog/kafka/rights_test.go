package kafka_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
)

var errNoWarning = errors.New("the reading has no warning")

// allow gives the user the rights of docs/configuration.md on a topic and a group; reads adds READ on
// the topic.
func (f *fixture) allow(t testing.TB, topic, group string, reads bool) {
	t.Helper()
	acl := func() *kadm.ACLBuilder {
		return kadm.NewACLs().ResourcePatternType(kadm.ACLPatternLiteral).Allow("User:" + kafkatest.User)
	}
	operations := []kadm.ACLOperation{kadm.OpDescribe}
	if reads {
		operations = append(operations, kadm.OpRead)
	}
	builders := []*kadm.ACLBuilder{
		acl().Topics(topic).Operations(operations...),
		acl().Groups(group).Operations(kadm.OpDescribe),
	}
	for _, b := range builders {
		results, err := f.client.Admin.CreateACLs(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
}

// login opens a source for the user of the listener with SASL.
func (f *fixture) login(t testing.TB, more map[string]any) backlog.Source {
	t.Helper()
	settings := map[string]any{"saslMechanism": "SCRAM-SHA-256", "username": kafkatest.User, "password": backlog.NewSecret(kafkatest.Password)}
	maps.Copy(settings, more)
	return backlogtest.Open(t, kafka.Engine(), connection(f.SASLAddrs(), settings))
}

// logins: each mechanism logs in, and a wrong secret is denied with what to change.
func logins(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 3)
	f.allow(t, topic, group, true)
	ca, cert, key := f.Certificates.CA, f.Certificates.Cert, f.Certificates.Key
	// The principal of a certificate is its name.
	for _, r := range []*kadm.ACLBuilder{
		kadm.NewACLs().ResourcePatternType(kadm.ACLPatternLiteral).Allow("User:CN=" + kafkatest.User).Topics(topic).Operations(kadm.OpDescribe),
		kadm.NewACLs().ResourcePatternType(kadm.ACLPatternLiteral).Allow("User:CN=" + kafkatest.User).Groups(group).Operations(kadm.OpDescribe),
	} {
		if _, err := f.client.Admin.CreateACLs(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	user := func(mechanism, password string) map[string]any {
		return map[string]any{"addresses": f.SASLAddrs(), "saslMechanism": mechanism, "username": kafkatest.User, "password": backlog.NewSecret(password)}
	}
	for name, c := range map[string]struct {
		settings map[string]any
		reason   error
		advice   string
	}{
		"scram 256":       {settings: user("SCRAM-SHA-256", kafkatest.Password)},
		"scram 512":       {settings: user("SCRAM-SHA-512", kafkatest.Password)},
		"plain":           {settings: user("PLAIN", kafkatest.Password)},
		"oauth":           {settings: map[string]any{"addresses": f.SASLAddrs(), "saslMechanism": "OAUTHBEARER", "token": backlog.NewSecret(token())}},
		"tls":             {settings: map[string]any{"addresses": f.TLSAddrs(), "tls": true, "tlsCAFile": ca, "tlsCertFile": cert, "tlsKeyFile": key}},
		"wrong scram":     {settings: user("SCRAM-SHA-256", "wrong"), reason: backlog.ErrDenied, advice: "username and password, or token: the broker does not know them"},
		"wrong plain":     {settings: user("PLAIN", "wrong"), reason: backlog.ErrDenied, advice: "the broker does not know them"},
		"no certificate":  {settings: map[string]any{"addresses": f.TLSAddrs(), "tls": true, "tlsCAFile": ca}, reason: backlog.ErrUnavailable, advice: "tlsCertFile and tlsKeyFile"},
		"no authority":    {settings: map[string]any{"addresses": f.TLSAddrs(), "tls": true}, reason: backlog.ErrUnavailable, advice: "tlsCAFile"},
		"tls on plain":    {settings: map[string]any{"addresses": f.Addrs(), "tls": true}, reason: backlog.ErrUnavailable, advice: "tls: false"},
		"plain on tls":    {settings: map[string]any{"addresses": f.TLSAddrs()}, reason: backlog.ErrUnavailable, advice: "tls: true"},
		"sasl on plain":   {settings: map[string]any{"addresses": f.Addrs(), "saslMechanism": "PLAIN", "username": "a", "password": backlog.NewSecret("b")}, reason: backlog.ErrDenied, advice: "saslMechanism: none"},
		"no login":        {settings: map[string]any{"addresses": f.SASLAddrs()}, reason: backlog.ErrUnavailable, advice: "saslMechanism"},
		"nothing listens": {settings: map[string]any{"addresses": []string{"127.0.0.1:1"}}, reason: backlog.ErrUnavailable, advice: "nothing listens there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := map[string]any{"answerTimeout": patience, "dialTimeout": patience}
			maps.Copy(settings, c.settings)
			source := backlogtest.Open(t, kafka.Engine(), backlog.Connection{Name: "events", Engine: "kafka", Settings: backlog.NewSettings(settings)})
			r := backlogtest.Read(t, source, query(topic, group))[0]
			if c.reason == nil {
				if r.Err != nil || r.Reading.Backlog() != 3 {
					t.Errorf("3 read as %+v", r)
				}
				return
			}
			if !errors.Is(r.Err, c.reason) || !strings.Contains(r.Err.Error(), c.advice) {
				t.Errorf("the error is %v, want %v and %q", r.Err, c.reason, c.advice)
			}
			if strings.Contains(r.Err.Error(), "wrong") {
				t.Errorf("the error %v repeats the password", r.Err)
			}
		})
	}
}

// token returns an unsecured JSON web token, which Kafka accepts in tests.
func token() string {
	encode := base64.RawURLEncoding.EncodeToString
	now := time.Now().Unix()
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(fmt.Appendf(nil, `{"sub":%q,"iat":%d,"exp":%d}`, kafkatest.User, now, now+3600)) + "."
}

// rights: a topic or a group without the right DESCRIBE is denied and never empty, also where its
// offsets are left out of an answer without an error.
func rights(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 3)
	other, otherGroup := f.topic(t, 5)
	f.client.Commit(t, group, topic, 0, 1)
	f.client.Commit(t, group, other, 0, 1)
	f.allow(t, topic, group, false)
	source := f.login(t, nil)
	if r := backlogtest.MustRead(t, source, query(topic, group)); r.Backlog() != 2 {
		t.Errorf("2 of 3 read as %+v", r)
	}
	for _, c := range []struct {
		name   string
		q      backlog.Query
		advice string
	}{
		{"topic", query(other, group), "DESCRIBE on the topic"},
		{"group", query(topic, otherGroup), "DESCRIBE on the group"},
		{"one of two topics", query(topic+","+other, group), "DESCRIBE on the topic"},
	} {
		r := backlogtest.Read(t, source, c.q)[0]
		if !errors.Is(r.Err, backlog.ErrDenied) || !strings.Contains(r.Err.Error(), c.advice) {
			t.Errorf("%s without the right reads as %+v, want ErrDenied and %q", c.name, r, c.advice)
		}
	}
	f.allow(t, other, otherGroup, false)
	eventually(t, source, query(other, otherGroup), wantBacklog(5))
}
