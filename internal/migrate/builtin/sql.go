package builtin

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/framework"
)

// postgresqlFamily is that of https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/postgresql_scaler.go#L44.
func postgresqlFamily() Family {
	return Family{
		Types: []string{"postgresql"}, Engine: "postgresql", needs: []string{"query"}, optionalTarget: true, convert: convertPostgreSQL,
		Keys: []Key{
			{Name: "targetQueryValue", From: "M", Becomes: "`target`"},
			{Name: "activationTargetQueryValue", From: "M", Becomes: "`activation`"},
			{Name: "connection", From: "AE", Becomes: "`addresses`, `database`, `username`: in a Secret they have to be filled in"},
			{Name: "query", From: "M", Becomes: "`query`, with `allowQueries` of the connection"},
			{Name: "host", From: "AM", Becomes: "`addresses`"},
			{Name: "port", From: "AM", Becomes: "`addresses`"},
			{Name: "userName", From: "AM", Becomes: "`username`"},
			{Name: "dbName", From: "AM", Becomes: "`database`"},
			{Name: "sslmode", From: "AM", Becomes: "`tls`"},
			{Name: "password", From: "AE", Becomes: "`password`, as a reference"},
		},
	}
}

// mysqlFamily is that of https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/mysql_scaler.go#L26.
func mysqlFamily() Family {
	return Family{
		Types: []string{"mysql"}, Engine: "mysql", needs: []string{"query", "queryValue"}, convert: convertMySQL,
		Keys: []Key{
			{Name: "connectionString", From: "AE", Becomes: "`address`, `database`, `username`: in a Secret they have to be filled in"},
			{Name: "username", From: "MAE", Becomes: "`username`"},
			{Name: "password", From: "AE", Becomes: "`password`, as a reference"},
			{Name: "host", From: "MA", Becomes: "`address`"},
			{Name: "port", From: "MA", Becomes: "`address`"},
			{Name: "dbName", From: "MA", Becomes: "`database`"},
			{Name: "query", From: "M", Becomes: "`query`, with `allowQueries` of the connection"},
			{Name: "queryValue", From: "M", Becomes: "`target`"},
			{Name: "activationQueryValue", From: "M", Becomes: "`activation`"},
			{Name: "metricName", From: "M", Becomes: "nothing: the name of the metric follows from the queue"},
		},
	}
}

func convertPostgreSQL(c *conversion) {
	if identity := c.trigger.Identity; identity != "" && identity != "none" {
		c.leave("authenticationRef", "KEDA logs in with a pod identity (%s), which the engine postgresql does not have", identity)
		return
	}
	if c.get("targetQueryValue").Text == "" && !c.trigger.Formula {
		c.leave("targetQueryValue", "KEDA refuses this trigger: targetQueryValue is missing, and no formula uses the number")
		return
	}
	if v := c.get("connection"); v.IsSet() {
		c.postgresqlString(v)
	} else {
		c.sqlAddress("addresses", "host", "port", "5432")
		c.require("database", "dbName")
		c.require("username", "userName")
		c.sqlPassword()
		if mode, ok := c.plain("tls", "sslmode"); ok {
			c.sslMode(mode)
		}
	}
	c.set("allowQueries", "true")
	c.sqlQuery("targetQueryValue", "activationTargetQueryValue")
	c.Was, c.OldMetric = "postgresql query", "postgresql"
}

// sqlAddress sets the address of a database.
func (c *conversion) sqlAddress(setting, hostKey, portKey, standard string) {
	h, p := c.get(hostKey), c.get(portKey)
	for _, v := range []Value{h, p} {
		if v.IsSet() && !v.IsPlain() {
			c.find(Gap, v.Key, "%s of the connection: %s", setting, c.why(v))
			c.Settings = append(c.Settings, Setting{Name: setting, Gap: c.why(v)})
			return
		}
	}
	if !h.IsSet() {
		c.require(setting, hostKey)
		return
	}
	port := p.Text
	if port == "" {
		port = standard
	}
	c.addresses([]string{h.Text + ":" + port}, hostKey)
	c.renameAddresses(setting)
}

// renameAddresses gives the setting addresses the name that the engine has for it.
func (c *conversion) renameAddresses(setting string) {
	last := len(c.Settings) - 1
	if setting == "addresses" || last < 0 || c.Settings[last].Name != "addresses" {
		return
	}
	s := &c.Settings[last]
	s.Name, s.Kind = setting, KindText
	if len(s.List) > 0 {
		s.Text, s.List = s.List[0], nil
	}
}

func (c *conversion) sqlPassword() {
	if !c.copySecret("password", KindSecret, "password") && c.trigger.AuthUnknown == "" {
		c.find(Same, "password", "there is none")
	}
}

// sslMode carries the modes of libpq. Without verification KEDA accepts any certificate.
func (c *conversion) sslMode(mode string) {
	switch mode {
	case "", "disable", "allow":
	case "prefer":
		c.find(Changed, "sslmode", "prefer has no counterpart: tls is left out; write tls: true where the server speaks TLS")
	case "require":
		c.set("tls", "true")
		c.set("tlsInsecureSkipVerify", "true")
		c.find(Same, "sslmode", "require accepts any certificate, as tlsInsecureSkipVerify does: set tlsCAFile in its place")
	case "verify-ca", "verify-full":
		c.set("tls", "true")
		c.find(Changed, "sslmode", "the name in the certificate is verified, with verify-ca too; set tlsCAFile where the authority is not one of the system's")
	default:
		c.leave("sslmode", "KEDA cannot connect with this sslmode")
	}
}

// sqlQuery sets the query.
func (c *conversion) sqlQuery(targetKey, activationKey string) {
	query := c.get("query").Text
	c.Layout = "query"
	c.put("query", query, "query")
	c.target(c.number(targetKey, "", false), targetKey, c.number(activationKey, "0", false), activationKey)
	c.job()
	c.find(Same, "query", "the number in the first column; a fraction is rounded up. Nothing and NULL are errors, as with KEDA")
	for _, p := range framework.SQL(c.Engine, query) {
		c.find(Better, "query", "%s", p)
	}
}

// A dsn is the parts of the text by which a program connects to a database.
type dsn struct {
	host, port, database, user, password, ssl string
}

// postgresqlPair is one "key=value" of libpq.
var postgresqlPair = regexp.MustCompile(`(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s']*)`)

// parsePostgreSQL returns the parts of a connection string of libpq, a URL or a list of pairs.
func parsePostgreSQL(text string) (dsn, bool) {
	if strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://") {
		u, err := url.Parse(text)
		if err != nil || strings.Contains(u.Host, ",") {
			return dsn{}, false
		}
		password, _ := u.User.Password()
		return dsn{u.Hostname(), u.Port(), strings.TrimPrefix(u.Path, "/"), u.User.Username(), password, u.Query().Get("sslmode")}, u.Hostname() != ""
	}
	var d dsn
	places := map[string]*string{"host": &d.host, "port": &d.port, "dbname": &d.database, "user": &d.user, "password": &d.password, "sslmode": &d.ssl}
	for _, pair := range postgresqlPair.FindAllStringSubmatch(text, -1) {
		if place := places[pair[1]]; place != nil {
			*place = strings.Trim(pair[2], "'")
		}
	}
	return d, d.host != ""
}

// mysqlDSN is USER:PASSWORD@tcp(HOST:PORT)/DATABASE?PARAMETERS of the driver that KEDA uses.
var mysqlDSN = regexp.MustCompile(`^(?s)(?:([^:@]*)(?::(.*))?@)?(?:tcp)?\(([^()]+?)(?::(\d+))?\)/([^?]*)(?:\?(.*))?$`)

func parseMySQL(text string) (dsn, bool) {
	m := mysqlDSN.FindStringSubmatch(text)
	if m == nil {
		return dsn{}, false
	}
	d := dsn{host: m[3], port: m[4], database: m[5], user: m[1], password: m[2]}
	if values, err := url.ParseQuery(m[6]); err == nil {
		d.ssl = values.Get("tls")
	}
	return d, true
}

// postgresqlString carries a connection string.
func (c *conversion) postgresqlString(v Value) {
	d, ok := parsePostgreSQL(v.Text)
	if !c.dsn(v, d, ok, "addresses", "5432") {
		return
	}
	c.sslMode(d.ssl)
}

// dsn sets what a connection string has. It reports whether that is known.
func (c *conversion) dsn(v Value, d dsn, ok bool, setting, port string) bool {
	if !v.IsPlain() || !ok {
		why := v.Key + " is no text that can be taken apart"
		if !v.IsPlain() {
			why = c.why(v)
		}
		c.add(Finding{Level: Gap, Line: v.Line, Key: v.Key, Text: setting + ", database, username and password of the connection: " + why})
		c.gap(setting, "%s", why)
		c.gap("database", "the database of %s", v.Key)
		c.gap("username", "the user of %s", v.Key)
		c.Settings = append(c.Settings, Setting{Name: "password", Kind: KindSecret, Gap: "a file with the password of " + v.Key})
		return false
	}
	if d.port == "" {
		d.port = port
	}
	c.addresses([]string{d.host + ":" + d.port}, v.Key)
	c.renameAddresses(setting)
	for _, s := range [][2]string{{"database", d.database}, {"username", d.user}} {
		if s[1] == "" {
			c.gap(s[0], "%s has none", v.Key)
			c.add(Finding{Level: Gap, Line: v.Line, Key: v.Key, Text: s[0] + " of the connection: " + v.Key + " has none"})
			continue
		}
		c.set(s[0], s[1])
	}
	if d.password != "" {
		c.Settings = append(c.Settings, Setting{Name: "password", Kind: KindSecret, Gap: "the password stands in plain text in " + v.From, mark: fingerprint(d.password)})
		c.add(Finding{Level: Gap, Line: v.Line, Key: v.Key, Text: "password of the connection: it stands in plain text in " + v.From + ": put it into a Secret; change it as well, because it has leaked"})
	}
	return true
}

func convertMySQL(c *conversion) {
	if v := c.get("connectionString"); v.IsSet() {
		d, ok := parseMySQL(v.Text)
		if c.dsn(v, d, ok, "address", "3306") {
			c.mysqlTLS(d.ssl)
		}
	} else {
		c.sqlAddress("address", "host", "port", "3306")
		c.require("database", "dbName")
		c.require("username", "username")
		c.sqlPassword()
	}
	c.set("allowQueries", "true")
	c.sqlQuery("queryValue", "activationQueryValue")
	c.Was = "mysql query"
	for _, s := range c.Settings {
		if s.Name == "database" && s.Text != "" {
			c.OldMetric = "mysql-" + s.Text
		}
	}
	if c.get("metricName").IsSet() {
		c.find(Unread, "metricName", "KEDA reads it and makes a name of its own")
	}
}

// mysqlTLS carries the parameter tls of the driver.
func (c *conversion) mysqlTLS(mode string) {
	switch mode {
	case "", "false":
	case "true":
		c.set("tls", "true")
	case "skip-verify":
		c.set("tls", "true")
		c.set("tlsInsecureSkipVerify", "true")
	default:
		c.find(Changed, "connectionString", "tls=%s of the connection string has no counterpart: write tls: true where the server speaks TLS", "...")
	}
}
