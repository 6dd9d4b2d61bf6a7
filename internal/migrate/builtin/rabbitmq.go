package builtin

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// rabbitmqFamily is that of https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/rabbitmq_scaler.go#L80.
func rabbitmqFamily() Family {
	auth := httpAuth()
	for i, k := range auth {
		switch k.Name {
		case "username", "password":
			auth[i].From, auth[i].Becomes = "AE", "`"+k.Name+"`, in place of that of the URL"
		case "bearerToken", "token":
			auth[i].Becomes = "nothing: RabbitMQ is not asked with a token"
		}
	}
	return Family{
		Types: []string{"rabbitmq"}, Engine: "rabbitmq", needs: []string{"queueName", "host"}, convert: convertRabbitMQ,
		Keys: concat([]Key{
			{Name: "queueName", From: "M", Becomes: "`queue`"},
			{Name: "mode", From: "M", Becomes: "`target`; QueueLength alone can be carried"},
			{Name: "queueLength", From: "M", Becomes: "`target`"},
			{Name: "value", From: "M", Becomes: "`target`"},
			{Name: "activationValue", From: "M", Becomes: "`activation`"},
			{Name: "host", From: "MAE", Becomes: "`addresses` or `managementURL`, `vhost` and `username`"},
			{Name: "protocol", From: "MA", Becomes: "`count: ready` with amqp, as KEDA does not count what workers hold there"},
			{Name: "vhostName", From: "MA", Becomes: "`vhost`"},
			{Name: "useRegex", From: "M", Becomes: "a pattern, where the expression is one; else it cannot be carried"},
			{Name: "excludeUnacknowledged", From: "M", Becomes: "`count: ready`"},
			{Name: "pageSize", From: "M", Becomes: "nothing is needed"},
			{Name: "operation", From: "M", Becomes: "`combine`; avg cannot be carried"},
			{Name: "timeout", From: "M", Becomes: "`answerTimeout`"},
			{Name: "tls", From: "A", Becomes: "`tls`, with a client certificate"},
			{Name: "keyPassword", From: "A", Becomes: "nothing: store the key unencrypted (PKCS#8)"},
			{Name: "unsafeSsl", From: "M", Becomes: "`tlsInsecureSkipVerify`"},
			{Name: "workloadIdentityResource", From: "A", Becomes: "nothing: there is no such login"},
		}, auth),
	}
}

// convertRabbitMQ converts a trigger for the length of a queue.
func convertRabbitMQ(c *conversion) {
	target, was := c.rabbitTarget()
	for _, key := range []string{"workloadIdentityResource", "oauthTokenURI", "clientID", "authModes"} {
		if v := c.get(key); v.IsSet() && v.Text != "basic" && v.Text != "tls" {
			c.leave(key, "KEDA logs in with %s, which the engine rabbitmq does not have", key)
			return
		}
	}
	http, known := c.rabbitConnection()
	if c.Left != "" {
		return
	}
	queue := c.get("queueName").Text
	c.Layout, c.Queue = "queue", queue
	c.Was, c.OldMetric = "rabbitmq queueName="+queue, "rabbitmq-"+url.QueryEscape(queue)
	if !c.flag("useRegex", false) {
		c.put("queue", backlog.Escape(queue), "queueName")
	} else if pattern, ok := asPattern(queue); ok {
		c.put("queue", pattern, "queueName")
		c.find(Changed, "useRegex", "the expression is the pattern %s. No queue that matches is 0 for KEDA, and an error here", shown(pattern))
		c.rabbitOperation()
	} else {
		c.leave("queueName", "an expression that is no pattern of * and ?: name the queues, separated by commas")
		return
	}
	c.target(target, was, c.number("activationValue", "0", false), "activationValue")
	if protocol := c.get("protocol").Text; !http && (known || protocol == "amqp") || c.flag("excludeUnacknowledged", false) {
		c.count("ready")
		c.find(Same, "queueName", "messages that are ready. Without count: ready those that workers hold count as well; they keep the workload running in any case")
	} else {
		c.find(Same, "queueName", "messages that are ready or not acknowledged")
		if !known {
			c.find(Changed, "host", "if the URL begins with amqp, KEDA does not count what workers hold: add count: ready for the same number")
		}
	}
	c.job()
	c.find(Changed, "queueName", "a queue that does not exist is an error, as over AMQP with KEDA; missing: zero takes it for empty")
}

// rabbitTarget returns the target and its key.
func (c *conversion) rabbitTarget() (target float64, was string) {
	mode, length, value := c.get("mode").Text, c.get("queueLength").Text, c.get("value").Text
	switch {
	case length != "" && (mode != "" || value != ""):
		c.leave("queueLength", "KEDA refuses this trigger: queueLength does not go with mode and value")
	case length != "":
		return c.number("queueLength", "", false), "queueLength"
	case mode == "" && value == "":
		return 20, "value" // KEDA's default
	case mode == "ExpectedQueueConsumptionTime":
		c.leave("mode", "mode %s is no length of a queue, so the trigger stays; drainTime with throughput has the same aim", mode)
	case mode == "MessageRate" || mode == "DeliverGetRate" || mode == "PublishedToDeliveredRatio":
		c.leave("mode", "mode %s is no length of a queue, so the trigger stays", mode)
	case mode != "QueueLength" || value == "":
		c.leave("mode", "KEDA refuses this trigger: want mode and value")
	}
	return c.number("value", "", false), "value"
}

// rabbitOperation carries how several queues are combined.
func (c *conversion) rabbitOperation() {
	switch operation := c.get("operation").Text; operation {
	case "", "sum":
	case "max":
		c.put("combine", "max", "operation")
	default:
		c.leave("operation", "operation%s cannot be carried: want sum or max", known(operation, "avg"))
	}
}

// regexLetters are those of a regular expression that a pattern does not have.
var regexLetters = regexp.MustCompile(`[\[\](){}|+?^$*]`)

// asPattern returns the pattern that matches what a regular expression matches, where there is one: KEDA's
// expression need not match the whole name.
func asPattern(expression string) (string, bool) {
	text, anchored := strings.CutPrefix(expression, "^")
	text, ends := strings.CutSuffix(text, "$")
	parts := strings.Split(text, ".*")
	for i, part := range parts {
		plain := strings.ReplaceAll(part, `\.`, "\x00")
		if regexLetters.MatchString(plain) || strings.ContainsAny(plain, `\.`) {
			return "", false
		}
		parts[i] = backlog.Escape(strings.ReplaceAll(plain, "\x00", "."))
	}
	pattern := strings.Join(parts, "*")
	if !anchored && !strings.HasPrefix(pattern, "*") {
		pattern = "*" + pattern
	}
	if !ends && !strings.HasSuffix(pattern, "*") {
		pattern += "*"
	}
	return pattern, pattern != ""
}

// rabbitConnection sets the connection. It reports whether KEDA asked over HTTP, and whether that is known.
func (c *conversion) rabbitConnection() (http, known bool) {
	v := c.get("host")
	protocol := c.get("protocol").Text
	if !slices.Contains([]string{"", "auto", "amqp", "http"}, protocol) {
		c.leave("protocol", "KEDA refuses this trigger: protocol is none of auto, amqp and http")
		return false, false
	}
	if !v.IsPlain() {
		why := c.trigger.AuthUnknown
		if v.IsSet() {
			why = c.why(v)
			c.add(Finding{Level: Gap, Line: v.Line, Key: v.Key, Text: "addresses, managementURL, vhost and username of the connection: " + why + ". It is a URL, with user and password: its parts are settings of their own"})
		}
		c.gap("addresses", "%s", why)
		if protocol != "amqp" {
			c.Settings = append(c.Settings, Setting{Name: "managementURL", Gap: why, Stub: "http://stub.example.com:15672"})
		}
		c.rabbitLogin(nil)
		return protocol == "http", protocol == "http" || protocol == "amqp"
	}
	u, err := url.Parse(v.Text)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"amqp", "amqps", "http", "https"}, u.Scheme) {
		c.leave("host", "host is no URL that begins with amqp://, amqps://, http:// or https://")
		return false, false
	}
	http = strings.HasPrefix(u.Scheme, "http")
	if http {
		c.rabbitHTTP(u)
	} else {
		port := u.Port()
		if port == "" {
			port = map[string]string{"amqp": "5672", "amqps": "5671"}[u.Scheme]
		}
		c.addresses([]string{u.Hostname() + ":" + port}, v.Key)
	}
	c.rabbitVhost(u, http)
	c.rabbitLogin(u)
	c.rabbitTLS(u.Scheme == "amqps" || u.Scheme == "https")
	return http, true
}

// rabbitVhost sets the virtual host: that of its own key, else that of the URL.
func (c *conversion) rabbitVhost(u *url.URL, http bool) {
	vhost := strings.TrimPrefix(u.Path, "/")
	if http {
		// The management API may be below a path; its last part is the virtual host.
		vhost = vhost[strings.LastIndexByte(vhost, '/')+1:]
	}
	if named := c.get("vhostName"); named.IsSet() {
		c.copyText("vhost", "vhostName")
	} else if vhost != "" && vhost != "/" {
		c.set("vhost", vhost)
	}
}

// rabbitHTTP sets the management API, and leaves the addresses for AMQP to be filled in.
func (c *conversion) rabbitHTTP(u *url.URL) {
	path := u.Path[:max(0, strings.LastIndexByte(u.Path, '/'))]
	base := url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}
	if gap := c.shortName([]string{u.Host + portOf(u)}, "host"); gap != "" {
		c.Settings = append(c.Settings, Setting{Name: "managementURL", Gap: gap, Stub: "http://stub.example.com:15672"})
	} else {
		c.set("managementURL", base.String())
		c.Host = u.Hostname()
	}
	port := ":5672"
	if u.Scheme == "https" {
		port = ":5671"
	}
	c.find(Gap, "host", "addresses of the connection: KEDA asks the management API alone, and the scaler asks over AMQP as well: write the address for AMQP, such as %s", u.Hostname()+port)
	c.gap("addresses", "the address for AMQP, such as %s", u.Hostname()+port)
}

// rabbitLogin sets user and password: those of their own keys, else those of the URL.
func (c *conversion) rabbitLogin(u *url.URL) {
	if c.get("username").IsSet() {
		c.copyText("username", "username")
		c.copySecret("password", KindSecret, "password")
		return
	}
	host := c.get("host")
	switch {
	case u == nil:
		c.gap("username", "the user of the URL in host")
		c.Settings = append(c.Settings, Setting{Name: "password", Kind: KindSecret, Gap: "a file with the password of the URL in host"})
	case u.User != nil && u.User.Username() != "":
		password, _ := u.User.Password()
		c.set("username", u.User.Username())
		c.Settings = append(c.Settings, Setting{Name: "password", Kind: KindSecret, Gap: "the password stands in plain text in host: put it into a Secret and write its path here", mark: fingerprint(password)})
		c.add(Finding{Level: Gap, Line: host.Line, Key: host.Key, Text: "password of the connection: it stands in plain text in the URL of " + host.From + ": put it into a Secret; change it as well, because it has leaked"})
	case c.get("cert").IsSet():
		c.set("sasl", "external")
	default:
		c.gap("username", "the user; KEDA's URL has none, which is guest")
		c.Settings = append(c.Settings, Setting{Name: "password", Kind: KindSecret, Gap: "a file with the password"})
		c.find(Gap, "host", "username and password of the connection: the URL has none, for which the server takes guest")
	}
}

// rabbitTLS sets TLS, which follows from the scheme of the URL.
func (c *conversion) rabbitTLS(secure bool) {
	on := secure || c.tlsWord(c.get("tls").Text, "tls")
	if on {
		c.set("tls", "true")
	}
	c.tlsFiles(on)
	if timeout := c.get("timeout"); timeout.IsSet() {
		c.answerTimeout(timeout)
	}
}
