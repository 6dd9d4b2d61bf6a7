package jetstream_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig/tlstest"
)

// documented returns the configuration of docs/configuration.md, Rights in NATS.
func documented(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Rights in NATS\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, block, _ := strings.Cut(section, "```text\nauthorization {")
	block, _, found := strings.Cut(block, "\n```")
	if !found {
		t.Fatal("docs/configuration.md has no permissions below \"Rights in NATS\"")
	}
	return "authorization {" + block
}

// TestRights: the permissions of the documentation suffice for counts and wake-ups, and no more is allowed.
func TestRights(t *testing.T) {
	t.Parallel()
	block := documented(t)
	admin := "{ user: admin, password: admin }\n"
	server := jetstreamtest.Start(t, 1, jetstreamtest.Configured(strings.Replace(block, "users: [", "users: [\n"+admin, 1)))
	client := server.NewClient(t, nats.UserInfo("admin", "admin"))
	login := map[string]any{"username": "scaler", "password": backlog.NewSecret("PASSWORD"), "inboxPrefix": "_INBOX.scaler"}
	source := open(t, server, login)
	wakeups := backlogtest.Listen(t, source)
	made(t, client, natsjs.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}, natsjs.ConsumerConfig{Durable: "billing"})
	q := query("ORDERS", "consumer", "billing")
	backlogtest.Arm(t, source, wakeups, q)
	client.Publish(t, "orders.new", 3)
	wakeups.Await(t, q)
	await(t, source, q, "3 messages", func(r backlog.Reading) bool { return r.Ready == 3 })
	if err := probe(t, source); err != nil {
		t.Errorf("the probe fails with %v", err)
	}
	// What the permissions do not name is denied at once, and hides no other queue.
	made(t, client, natsjs.StreamConfig{Name: "PRIVATE"}, natsjs.ConsumerConfig{})
	began := time.Now()
	results := backlogtest.Read(t, source, query("PRIVATE"), q)
	if took := time.Since(began); took > 30*time.Second || !errors.Is(results[0].Err, backlog.ErrDenied) {
		t.Errorf("a stream without rights reads as %+v after %s", results[0], took)
	}
	if _, change := backlog.Advice(results[0].Err); !strings.Contains(change, "Rights in NATS") {
		t.Errorf("%v has the advice %q", results[0].Err, change)
	}
	if results[1].Err != nil || results[1].Reading.Ready != 3 {
		t.Errorf("the queue next to it reads as %+v", results[1])
	}
	// The user can do nothing else.
	own, err := server.Connect(nats.UserInfo("scaler", "PASSWORD"), nats.CustomInboxPrefix("_INBOX.scaler"))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for _, subject := range []string{"$JS.API.STREAM.PURGE.ORDERS", "$JS.API.CONSUMER.MSG.NEXT.ORDERS.billing", "$JS.API.STREAM.MSG.GET.ORDERS", "orders.new"} {
		if m, err := own.Conn.Request(subject, nil, 200*time.Millisecond); err == nil {
			t.Errorf("the user may ask %s: %s", subject, m.Data)
		}
	}
	await(t, source, q, "3 messages", func(r backlog.Reading) bool { return r.Ready == 3 })
}

// TestNoRightToSubscribe: without the right to subscribe to the subjects of a queue it is polled, and the
// status says why.
func TestNoRightToSubscribe(t *testing.T) {
	t.Parallel()
	server := jetstreamtest.Start(t, 1, jetstreamtest.Configured(`authorization { users: [
  { user: admin, password: admin }
  { user: scaler, password: secret, permissions: { publish: ["$JS.API.>"], subscribe: ["_INBOX.>", "open.>"] } }
] }`))
	client := server.NewClient(t, nats.UserInfo("admin", "admin"))
	source := open(t, server, map[string]any{"username": "scaler", "password": backlog.NewSecret("secret")})
	wakeups := backlogtest.Listen(t, source)
	made(t, client, natsjs.StreamConfig{Name: "closed"}, natsjs.ConsumerConfig{})
	made(t, client, natsjs.StreamConfig{Name: "open"}, natsjs.ConsumerConfig{})
	backlogtest.Arm(t, source, wakeups, query("open"))
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if r := backlogtest.ReadOnce(t, source, query("closed"))[0]; r.Err != nil || r.Armed {
			t.Fatalf("reads as %+v", r)
		}
	}
	if status := source.Status(); status.WakeUp != "subscribe" || !strings.Contains(status.WakeUpReason, `no right to subscribe to "closed.*"`) {
		t.Errorf("the status is %+v", status)
	}
	client.Publish(t, "closed.new", 1)
	await(t, source, query("closed"), "1 message", func(r backlog.Reading) bool { return r.Ready == 1 })
}

// probe verifies a connection as "scaler check" does.
func probe(t *testing.T, source backlog.Source) error {
	t.Helper()
	prober, ok := source.(backlog.Prober)
	if !ok {
		t.Fatalf("%T does not verify its connection", source)
	}
	return prober.Probe(t.Context())
}

// A contact is settings that fit a server or do not.
type contact struct {
	address string
	more    map[string]any
	// want is the error; nil if it works. text and change are in its text and its advice.
	want         error
	text, change string
}

func (c contact) verify(t *testing.T, q backlog.Query) {
	t.Helper()
	values := map[string]any{"dialTimeout": time.Second}
	maps.Copy(values, c.more)
	source := backlogtest.Open(t, jetstream.Engine(), settings([]string{c.address}, values))
	r := backlogtest.Read(t, source, q)[0]
	err := probe(t, source)
	if c.want == nil {
		if r.Err != nil || err != nil {
			t.Errorf("reads as %+v, and the probe returns %v", r, err)
		}
		return
	}
	text, change := backlog.Advice(r.Err)
	if !errors.Is(r.Err, c.want) || !strings.Contains(text, c.text) || !strings.Contains(change, c.change) {
		t.Errorf("got %q (change: %q), want %v with %q and %q", text, change, c.want, c.text, c.change)
	}
	if r.Err != nil && strings.Contains(r.Err.Error(), "hunter2") {
		t.Errorf("the error has the secret: %v", r.Err)
	}
	if !errors.Is(err, c.want) {
		t.Errorf("the probe returns %v, want %v", err, c.want)
	}
}

// TestFirstContact has settings that do not fit the server: each has an error of the right kind with what
// to change, and no secret.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	certificates := tlstest.New(t, t.TempDir(), "scaler")
	const users = "authorization { users: [ { user: admin, password: admin } ] }\n"
	plain := jetstreamtest.Start(t, 1, jetstreamtest.Configured(users))
	token := jetstreamtest.Start(t, 1, jetstreamtest.Configured("authorization { token: secret }\n"))
	tlsBlock := func(more string) string {
		return fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true, %s }\n", certificates.ServerCert, certificates.ServerKey, certificates.CA.Path, more)
	}
	secured := jetstreamtest.Start(t, 1, jetstreamtest.Configured(tlsBlock("")))
	first := jetstreamtest.Start(t, 1, jetstreamtest.Configured(tlsBlock("handshake_first: true")))
	noInbox := jetstreamtest.Start(t, 1, jetstreamtest.Configured(`authorization { users: [ { user: admin, password: admin, permissions: { subscribe: ["_INBOX.scaler.>"] } } ] }`))
	noJetStream := jetstreamtest.Start(t, 1, jetstreamtest.Configured(`accounts {
  with: { jetstream: enabled, users: [ { user: with, password: secret } ] }
  without: { users: [ { user: without, password: secret } ] }
}`))
	user := func(name, password string) map[string]any {
		return map[string]any{"username": name, "password": backlog.NewSecret(password)}
	}
	secure := map[string]any{"tls": true, "tlsCAFile": certificates.CA, "tlsCertFile": certificates.Cert, "tlsKeyFile": certificates.Key}
	with := func(more map[string]any) map[string]any {
		all := maps.Clone(secure)
		maps.Copy(all, more)
		return all
	}
	closed := backlogtest.FreeAddress(t)
	at := func(c *jetstreamtest.Cluster) string { return c.Nodes[0].Address }
	for name, c := range map[string]contact{
		"user":                  {address: at(plain), more: user("admin", "admin")},
		"token":                 {address: at(token), more: map[string]any{"token": backlog.NewSecret("secret\n")}},
		"tls":                   {address: at(secured), more: secure},
		"tls first":             {address: at(first), more: with(map[string]any{"tlsHandshakeFirst": true})},
		"account":               {address: at(noJetStream), more: user("with", "secret")},
		"own inbox":             {address: at(noInbox), more: map[string]any{"username": "admin", "password": backlog.NewSecret("admin"), "inboxPrefix": "_INBOX.scaler"}},
		"wrong password":        {at(plain), user("admin", "hunter2"), backlog.ErrDenied, "refuses the login", "username and password"},
		"no login":              {at(plain), nil, backlog.ErrDenied, "refuses the login", "username and password"},
		"wrong token":           {at(token), map[string]any{"token": backlog.NewSecret("hunter2")}, backlog.ErrDenied, "refuses the login", "token"},
		"no inbox":              {at(noInbox), user("admin", "admin"), backlog.ErrDenied, `no right to subscribe to "_INBOX.>"`, "inboxPrefix"},
		"wants tls":             {at(secured), nil, backlog.ErrUnavailable, "wants TLS", "tls: true"},
		"speaks plainly":        {at(plain), secure, backlog.ErrUnavailable, "does not speak TLS", "tls: false"},
		"no certificate":        {at(secured), with(map[string]any{"tlsCertFile": backlog.File{}, "tlsKeyFile": backlog.File{}}), backlog.ErrUnavailable, "certificate", "tlsCertFile and tlsKeyFile"},
		"unknown authority":     {at(secured), map[string]any{"tls": true}, backlog.ErrUnavailable, "certificate", "tlsCAFile"},
		"tls before the server": {at(first), secure, backlog.ErrUnavailable, "says nothing", "tlsHandshakeFirst: true"},
		"monitoring":            {plain.Nodes[0].Monitor, nil, backlog.ErrUnavailable, "says nothing", "8222"},
		"nothing there":         {closed, nil, backlog.ErrUnavailable, "refused", "nothing listens there"},
		"account without":       {at(noJetStream), user("without", "secret"), backlog.ErrUnavailable, "JetStream", "enable JetStream"},
		"wrong domain":          {at(plain), map[string]any{"username": "admin", "password": backlog.NewSecret("admin"), "domain": "elsewhere"}, backlog.ErrUnavailable, "no server answers", "domain"},
		"no nkeys":              {at(token), nkeyLogin(t), backlog.ErrDenied, "NKey", "username and password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.verify(t, query("jobs"))
		})
	}
}

// nkeyLogin are settings with a new NKey.
func nkeyLogin(t testing.TB) map[string]any {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"nkeySeedFile": file(t, "user.nk", append([]byte("# the scaler's\n"), seed...))}
}

// TestKeys: users log in by NKey and by credentials with a JWT, and are refused with those of others.
func TestKeys(t *testing.T) {
	t.Parallel()
	must := func(pair nkeys.KeyPair, err error) nkeys.KeyPair {
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	public := func(pair nkeys.KeyPair) string {
		text, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	user := must(nkeys.CreateUser())
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	byKey := jetstreamtest.Start(t, 1, jetstreamtest.Configured(fmt.Sprintf("authorization { users: [ { nkey: %s } ] }", public(user))))

	operator, account, system := must(nkeys.CreateOperator()), must(nkeys.CreateAccount()), must(nkeys.CreateAccount())
	encode := func(claims jwt.Claims, by nkeys.KeyPair) string {
		text, err := claims.Encode(by)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	operatorClaims := jwt.NewOperatorClaims(public(operator))
	operatorClaims.SystemAccount = public(system)
	accountClaims := jwt.NewAccountClaims(public(account))
	accountClaims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	byToken := jetstreamtest.Start(t, 1, jetstreamtest.Configured(fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }",
		encode(operatorClaims, operator), public(system), public(account), encode(accountClaims, operator), public(system), encode(jwt.NewAccountClaims(public(system)), operator))))
	credentials := func(by nkeys.KeyPair, expires time.Time) map[string]any {
		claims := jwt.NewUserClaims(public(user))
		if !expires.IsZero() {
			claims.Expires = expires.Unix()
		}
		text, err := jwt.FormatUserConfig(encode(claims, by), seed)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"credentialsFile": file(t, "scaler.creds", text)}
	}
	for name, c := range map[string]contact{
		"nkey":                {address: byKey.Nodes[0].Address, more: map[string]any{"nkeySeedFile": file(t, "user.nk", seed)}},
		"credentials":         {address: byToken.Nodes[0].Address, more: credentials(account, time.Time{})},
		"another nkey":        {byKey.Nodes[0].Address, nkeyLogin(t), backlog.ErrDenied, "refuses the login", "nkeySeedFile"},
		"another account":     {byToken.Nodes[0].Address, credentials(must(nkeys.CreateAccount()), time.Time{}), backlog.ErrDenied, "refuses the login", "credentialsFile"},
		"expired credentials": {byToken.Nodes[0].Address, credentials(account, time.Now().Add(-time.Hour)), backlog.ErrDenied, "refuses the login", "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.verify(t, query("jobs"))
		})
	}
}

// TestSeveralAddresses: the connection goes to an address that answers.
func TestSeveralAddresses(t *testing.T) {
	t.Parallel()
	server := one(t)
	first, second := backlogtest.NewProxy(t, server.Nodes[0].Address), backlogtest.NewProxy(t, server.Nodes[0].Address)
	source := backlogtest.Open(t, jetstream.Engine(), settings([]string{first.Addr(), second.Addr()}, nil))
	q := query(made(t, server.NewClient(t), natsjs.StreamConfig{}, natsjs.ConsumerConfig{}))
	for range 2 {
		for _, proxy := range []*backlogtest.Proxy{first, second} {
			proxy.Refuse()
			await(t, source, q, "empty", func(r backlog.Reading) bool { return r.Backlog() == 0 })
			proxy.Restore()
		}
	}
	eventually(t, "one connection is left", func() bool { return first.Connections()+second.Connections() == 1 })
}

// TestOtherAPI: the API of a domain, and one that is imported from another account, is asked by its own
// subjects, and a queue there is polled.
func TestOtherAPI(t *testing.T) {
	t.Parallel()
	server := jetstreamtest.Start(t, 1, jetstreamtest.Domain("hub"), jetstreamtest.Configured(`accounts {
  owner: { jetstream: enabled, users: [ { user: owner, password: secret } ], exports: [ { service: "$JS.API.>" } ] }
  guest: { users: [ { user: guest, password: secret } ], imports: [ { service: { account: owner, subject: "$JS.API.>" }, to: "JS.owner.API.>" } ] }
}`))
	client := server.NewClient(t, nats.UserInfo("owner", "secret"))
	stream := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{})
	for name, more := range map[string]map[string]any{
		"domain": {"username": "owner", "password": backlog.NewSecret("secret"), "domain": "hub"},
		"import": {"username": "guest", "password": backlog.NewSecret("secret"), "apiPrefix": "JS.owner.API"},
	} {
		source := open(t, server, more)
		if r := backlogtest.Read(t, source, query(stream))[0]; r.Err != nil || r.Reading.Missing || r.Armed {
			t.Errorf("%s: an empty queue reads as %+v", name, r)
		}
		client.Publish(t, stream+".new", 3)
		await(t, source, query(stream), "3 messages", func(r backlog.Reading) bool { return r.Ready == 3 })
		if status := source.Status(); status.WakeUp != "poll" {
			t.Errorf("%s: the status is %+v", name, status)
		}
		if err := probe(t, source); err != nil {
			t.Errorf("%s: the probe returns %v", name, err)
		}
		client.Work(t, stream, worker, 3)
	}
}

// TestSettings are settings that no connection has.
func TestSettings(t *testing.T) {
	t.Parallel()
	secret := backlog.NewSecret("hunter2")
	for name, c := range map[string]struct {
		values map[string]any
		want   string
	}{
		"no address":          {map[string]any{"addresses": []string{}}, "addresses"},
		"user alone":          {map[string]any{"username": "u"}, "needs a password"},
		"password alone":      {map[string]any{"password": secret}, "needs a username"},
		"two logins":          {map[string]any{"username": "u", "password": secret, "token": secret}, "exclude each other"},
		"no credentials":      {map[string]any{"credentialsFile": file(t, "a", []byte("hunter2"))}, "credentialsFile"},
		"no seed":             {map[string]any{"nkeySeedFile": file(t, "a", []byte("hunter2"))}, "nkeySeedFile"},
		"seed of an account":  {map[string]any{"nkeySeedFile": file(t, "a", accountSeed(t))}, "begins with SU"},
		"domain and prefix":   {map[string]any{"domain": "a", "apiPrefix": "b"}, "exclude each other"},
		"domain of tokens":    {map[string]any{"domain": "a.b"}, "domain"},
		"wild prefix":         {map[string]any{"apiPrefix": "a.>"}, "apiPrefix"},
		"wild inbox":          {map[string]any{"inboxPrefix": "*"}, "inboxPrefix"},
		"inbox with line end": {map[string]any{"inboxPrefix": "a\r\nPUB"}, "inboxPrefix"},
		"tls is off":          {map[string]any{"tlsServerName": "a"}, "tls"},
		"first without tls":   {map[string]any{"tlsHandshakeFirst": true}, "tlsHandshakeFirst"},
		"short answer":        {map[string]any{"answerTimeout": time.Millisecond}, "answerTimeout"},
	} {
		_, err := jetstream.Engine().Open(t.Context(), settings([]string{"127.0.0.1:4222"}, c.values), backlogtest.Logger(t))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func accountSeed(t testing.TB) []byte {
	t.Helper()
	pair, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return seed
}
