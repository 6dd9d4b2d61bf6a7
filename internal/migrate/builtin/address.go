package builtin

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// addresses sets the setting addresses to a list of "host:port", and names the connection after the
// first.
func (c *conversion) addresses(list []string, key string) {
	for _, address := range list {
		if strings.Contains(address, "://") {
			c.leave(key, "%s is a URL, to which KEDA could not connect: write host:port, and put user and password into keys of their own", key)
			return
		}
		if err := backlog.CheckAddress(address); err != nil {
			c.find(Gap, key, "addresses of the connection: %s is no host:port", shown(address))
			c.gap("addresses", "%s is no host:port", key)
			return
		}
	}
	if gap := c.shortName(list, key); gap != "" {
		c.gap("addresses", "%s", gap)
		return
	}
	if len(list) == 0 {
		c.leave(key, "KEDA refuses this trigger: it has no address")
		return
	}
	slices.Sort(list)
	c.Settings = append(c.Settings, Setting{Name: "addresses", Kind: KindList, List: slices.Compact(list)})
	c.Host = host(list[0])
}

// shortName reports an address that names a service without its namespace: KEDA looks it up in its
// own namespace, and the scaler in its own.
func (c *conversion) shortName(list []string, key string) string {
	for _, address := range list {
		name := host(address)
		if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil || strings.Contains(name, ".") {
			continue
		}
		port := strings.TrimPrefix(address, name)
		text := "the name " + name + " has no namespace: KEDA looked it up in its own, which is " + name + "." + c.trigger.KEDANamespace + ".svc" + port +
			", and " + name + "." + c.trigger.Namespace + ".svc" + port + " may have been meant"
		c.find(Gap, key, "addresses of the connection: %s", text)
		return text
	}
	return ""
}

// host returns the host of "host:port", with the brackets of an IPv6 address.
func host(address string) string {
	i := strings.LastIndexByte(address, ':')
	if i < 0 || strings.HasSuffix(address, "]") {
		return address
	}
	return address[:i]
}

// shown is an address as a finding repeats it.
func shown(address string) string { return `"` + backlog.Line(backlog.RedactValue(address)) + `"` }

// split splits a list at commas as KEDA does.
func split(text string) []string {
	var all []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}

// withPort adds the default port to an address without one.
func withPort(address, port string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return address + ":" + port
}

// baseURL sets the setting url, and names the connection after its host. It reports whether the URL
// can be used.
func (c *conversion) baseURL(text, suffix, key string) bool {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		c.leave(key, "%s is no URL that begins with http:// or https://", key)
		return false
	case u.RawQuery != "" || u.Fragment != "":
		c.leave(key, "%s has a query or a fragment, which the url of a connection cannot have", key)
		return false
	}
	if u.User != nil {
		c.find(Gap, key, "%s holds a user and a password: put them into username and password of the connection, the password in a Secret; change it as well, because it has leaked", key)
		s := Setting{Name: "password", Kind: KindSecret, Gap: "the password stands in plain text in " + key, mark: fingerprint(u.User.String())}
		c.set("username", u.User.Username())
		c.Settings = append(c.Settings, s)
		u.User = nil
	}
	if gap := c.shortName([]string{u.Host + portOf(u)}, key); gap != "" {
		c.Settings = append(c.Settings, Setting{Name: "url", Gap: gap, Stub: u.Scheme + "://stub.example.com"})
		return true
	}
	u.Path = strings.TrimRight(u.Path, "/") + suffix
	c.set("url", u.String())
	c.Host = u.Hostname()
	return true
}

// portOf returns the port of a URL without one.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return ""
	case u.Scheme == "https":
		return ":443"
	default:
		return ":80"
	}
}
