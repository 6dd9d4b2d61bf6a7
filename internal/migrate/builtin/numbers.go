package builtin

import (
	"strconv"
	"strings"
	"time"
)

// prometheusFamily is that of https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/prometheus_scaler.go#L48.
func prometheusFamily() Family {
	return Family{
		Types: []string{"prometheus"}, Engine: "prometheus", needs: []string{"serverAddress", "query", "threshold"}, convert: convertPrometheus,
		Keys: concat([]Key{
			{Name: "serverAddress", From: "M", Becomes: "`url`"},
			{Name: "query", From: "M", Becomes: "`query`"},
			{Name: "queryParameters", From: "M", Becomes: "nothing: it cannot be carried"},
			{Name: "threshold", From: "M", Becomes: "`target`"},
			{Name: "activationThreshold", From: "M", Becomes: "`activation`"},
			{Name: "namespace", From: "M", Becomes: "nothing: it is a parameter of the request, which cannot be carried"},
			{Name: "customHeaders", From: "M", Becomes: "nothing: X-Scope-OrgID alone, as `tenant`"},
			{Name: "ignoreNullValues", From: "M", Becomes: "an empty answer is never 0: append `or vector(0)` to the query"},
			{Name: "unsafeSsl", From: "M", Becomes: "`tlsInsecureSkipVerify`"},
			{Name: "timeout", From: "M", Becomes: "`answerTimeout`"},
			{Name: "awsRegion", From: "MA", Becomes: "nothing: there are no signed requests"},
			{Name: "identityOwner", From: "M", Becomes: "nothing: there are no signed requests"},
			{Name: "azureManagedPrometheusResourceURL", From: "M", Becomes: "nothing: there is no such login", Extra: true},
			{Name: "cloud", From: "M", Becomes: "nothing: there is no such login", Extra: true},
		}, httpAuth()),
	}
}

// lokiFamily is that of https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/loki_scaler.go#L35.
// What KEDA asks Loki for is a number that LogQL computes, which the engine prometheus reads.
func lokiFamily() Family {
	return Family{
		Types: []string{"loki"}, Engine: "prometheus", needs: []string{"serverAddress", "query", "threshold"}, convert: convertLoki,
		Keys: concat([]Key{
			{Name: "serverAddress", From: "M", Becomes: "`url`, with `/loki` at its end"},
			{Name: "query", From: "M", Becomes: "`query`"},
			{Name: "threshold", From: "M", Becomes: "`target`"},
			{Name: "activationThreshold", From: "M", Becomes: "`activation`"},
			{Name: "tenantName", From: "M", Becomes: "`tenant`"},
			{Name: "ignoreNullValues", From: "M", Becomes: "an empty answer is never 0: append `or vector(0)` to the query"},
			{Name: "unsafeSsl", From: "M", Becomes: "`tlsInsecureSkipVerify`"},
		}, httpAuth()),
	}
}

// metricsAPIFamily is that of https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/metrics_api_scaler.go#L44.
func metricsAPIFamily() Family {
	return Family{
		Types: []string{"metrics-api"}, Engine: "http", needs: []string{"url", "valueLocation"}, optionalTarget: true, convert: convertMetricsAPI,
		Keys: concat([]Key{
			{Name: "targetValue", From: "M", Becomes: "`target`"},
			{Name: "activationTargetValue", From: "M", Becomes: "`activation`"},
			{Name: "url", From: "M", Becomes: "`url` and `path`"},
			{Name: "format", From: "M", Becomes: "json alone can be carried"},
			{Name: "valueLocation", From: "M", Becomes: "`value`, as a JSONPath"},
			{Name: "unsafeSsl", From: "M", Becomes: "`tlsInsecureSkipVerify`"},
			{Name: "aggregateFromKubeServiceEndpoints", From: "M", Becomes: "nothing: one answer is read"},
			{Name: "aggregationType", From: "M", Becomes: "nothing: one answer is read"},
			{Name: "timeout", From: "M", Becomes: "`answerTimeout`"},
		}, httpAuth()),
	}
}

// searchFamily are Elasticsearch and OpenSearch. KEDA reads a number out of the answer to any search; the
// engine logs counts entries.
func searchFamily() Family {
	var keys []Key
	for _, name := range []string{
		"addresses", "unsafeSsl", "username", "password", "cloudID", "apiKey", "enableTLS", "caCert", "clientCert", "clientKey", "index", "searchTemplateName",
		"query", "parameters", "valueLocation", "targetValue", "activationTargetValue", "ignoreNullValues", "metricName",
	} {
		keys = append(keys, Key{Name: name, From: "MEA", Becomes: "the trigger stays: a number out of any search cannot be carried"})
	}
	return Family{Types: []string{"elasticsearch", "opensearch"}, Engine: "logs", Keys: keys, convert: func(c *conversion) {
		c.leave("query", "KEDA reads a number out of the answer to any search, and the engine logs counts entries: where that is meant, write a trigger with query, index and window")
	}}
}

func convertPrometheus(c *conversion) {
	for _, key := range []string{"queryParameters", "namespace", "awsRegion", "azureManagedPrometheusResourceURL"} {
		if c.get(key).IsSet() {
			c.leave(key, "%s cannot be carried", key)
			return
		}
	}
	if c.signed() || !c.baseURL(c.get("serverAddress").Text, "", "serverAddress") {
		return
	}
	c.headers()
	if v := c.get("timeout"); v.IsSet() {
		c.answerTimeout(v)
	}
	c.measure("prometheus")
}

func convertLoki(c *conversion) {
	if c.signed() || !c.baseURL(c.get("serverAddress").Text, "/loki", "serverAddress") {
		return
	}
	c.copyText("tenant", "tenantName")
	c.measure("loki")
	c.find(Changed, "query", "the engine prometheus asks Loki, whose API of numbers is the same, every interval (5s) of the connection")
}

// measure converts what prometheus and loki have in common.
func (c *conversion) measure(name string) {
	c.httpLogin()
	c.put("query", c.get("query").Text, "query")
	c.Layout, c.Was, c.OldMetric = "query", name+" query", name
	c.target(c.number("threshold", "", false), "threshold", c.number("activationThreshold", "0", false), "activationThreshold")
	if c.flag("ignoreNullValues", true) {
		c.find(Changed, "query", "an empty answer is 0 for KEDA, and unknown here, so that the replicas stay: append \"or vector(0)\" to the query where nothing means 0")
	} else {
		c.find(Same, "ignoreNullValues", "an empty answer is an error")
	}
	c.measured()
}

// measured reports what concerns all triggers that read a number.
func (c *conversion) measured() {
	if c.trigger.Job != "" {
		c.find(Changed, "", "a number is no count of messages, so that it has no key scaledJob: KEDA gets the last one that was read, up to 5s old")
	}
}

func convertMetricsAPI(c *conversion) {
	text := c.get("url").Text
	base, path := cutURL(text)
	location := c.get("valueLocation").Text
	value, ok := jsonPath(location)
	switch format := c.get("format").Text; {
	case format != "" && format != "json":
		c.leave("format", "format%s cannot be carried: the engine http reads JSON", known(format, "prometheus", "xml", "yaml"))
	case c.flag("aggregateFromKubeServiceEndpoints", false):
		c.leave("aggregateFromKubeServiceEndpoints", "the numbers of several pods cannot be combined: one answer is read")
	case secretInQuery(path):
		c.leave("url", "the query of url seems to hold a secret, which a trigger must not")
	case !ok:
		c.leave("valueLocation", "valueLocation is an expression of GJSON that is no plain path: write value, a JSONPath")
	case c.get("targetValue").Text == "" && !c.trigger.Formula:
		c.leave("targetValue", "KEDA refuses this trigger: targetValue is missing")
	}
	if c.Left != "" || !c.baseURL(base, "", "url") {
		return
	}
	c.httpLogin()
	c.put("path", path, "url")
	c.put("value", value, "valueLocation")
	c.Layout, c.Queue = "path", path
	c.Was, c.OldMetric = "metrics-api valueLocation="+location, "metric-api-"+location
	c.target(c.number("targetValue", "", false), "targetValue", c.number("activationTargetValue", "0", false), "activationTargetValue")
	if v := c.get("timeout"); v.IsSet() {
		c.answerTimeout(v)
	}
	c.find(Same, "valueLocation", "the number at this place, or a text that is a decimal number; KEDA takes texts such as 10k as well")
	c.measured()
}

// cutURL cuts a URL into what is before its path, and the path with its query.
func cutURL(text string) (base, path string) {
	start := strings.Index(text, "://") + len("://")
	if start < len("://") {
		return text, "/"
	}
	if i := strings.IndexAny(text[start:], "/?"); i >= 0 {
		path = text[start+i:]
		if strings.HasPrefix(path, "?") {
			path = "/" + path
		}
		return text[:start+i], path
	}
	return text, "/"
}

// secretInQuery reports whether a parameter of a path may be a secret.
func secretInQuery(path string) bool {
	_, query, _ := strings.Cut(path, "?")
	for pair := range strings.SplitSeq(strings.ToLower(query), "&") {
		name, _, _ := strings.Cut(pair, "=")
		for _, word := range []string{"key", "token", "secret", "pass", "auth", "sig"} {
			if strings.Contains(name, word) {
				return true
			}
		}
	}
	return false
}

// jsonPath returns the JSONPath of a path of GJSON, where it is one of names and numbers alone:
// https://github.com/tidwall/gjson/blob/master/SYNTAX.md
func jsonPath(location string) (string, bool) {
	var b strings.Builder
	b.WriteString("$")
	for part := range strings.SplitSeq(location, ".") {
		if part == "" || strings.ContainsAny(part, `*?#|@!{}[]()<>=%\"'`+"`") {
			return "", false
		}
		if n, err := strconv.ParseUint(part, 10, 31); err == nil {
			b.WriteString("[" + strconv.FormatUint(n, 10) + "]")
			continue
		}
		b.WriteString("['" + part + "']")
	}
	return b.String(), true
}

// answerTimeout carries a timeout, which KEDA takes in Go's form or in milliseconds.
func (c *conversion) answerTimeout(v Value) {
	d, err := time.ParseDuration(v.Text)
	if n, bare := strconv.ParseInt(v.Text, 10, 64); bare == nil {
		d, err = time.Duration(n)*time.Millisecond, nil
	}
	if err != nil || d < 0 {
		c.leave(v.Key, "KEDA refuses this trigger: timeout is no duration")
		return
	}
	if d > 0 {
		c.set("answerTimeout", d.String())
	}
}

// signed reports a pod identity, by which KEDA signs its requests.
func (c *conversion) signed() bool {
	if c.trigger.Identity == "" || c.trigger.Identity == "none" {
		return false
	}
	c.leave("authenticationRef", "KEDA logs in with a pod identity (%s), which the engine %s does not have", c.trigger.Identity, c.Engine)
	return true
}

// headers carries the one header that a connection has.
func (c *conversion) headers() {
	v := c.get("customHeaders")
	for _, pair := range split(v.Text) {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "X-Scope-OrgID") {
			c.leave("customHeaders", "headers cannot be carried, except X-Scope-OrgID")
			return
		}
		c.set("tenant", strings.TrimSpace(value))
	}
}

// httpLogin carries the authentication of an HTTP server.
func (c *conversion) httpLogin() {
	v := c.get("authModes", "authMode")
	if v.IsSet() && !v.IsPlain() {
		c.leave("authModes", "authModes is not known: %s", c.why(v))
		return
	}
	tls := false
	for _, mode := range split(v.Text) {
		switch mode {
		case "basic":
			c.require("username", "username")
			if !c.copySecret("password", KindSecret, "password") {
				c.leave("password", "authModes is basic without a password, which the engine does not take")
			}
		case "bearer":
			if !c.copySecret("token", KindSecret, "bearerToken", "token") && c.trigger.AuthUnknown == "" {
				c.leave("bearerToken", "KEDA refuses this trigger: bearerToken is missing")
			}
		case "tls":
			tls = true
		default:
			c.leave("authModes", "authModes%s cannot be carried", known(mode, "oauth", "custom", "apiKey"))
		}
	}
	c.tlsFiles(tls || c.get("ca").IsSet() || c.flag("unsafeSsl", false))
}
