package builtin

import (
	"regexp"
	"slices"
)

// copySecret sets a setting to a reference to the secret of a key. It reports whether the key is set.
func (c *conversion) copySecret(setting string, kind Kind, names ...string) bool {
	v := c.get(names...)
	s := Setting{Name: setting, Kind: kind, Secret: v.Secret}
	switch {
	case v.Secret != nil:
	case v.IsPlain():
		s.Gap = v.Key + " stands in plain text in " + v.From + ": put it into a Secret and write its path here"
		s.mark = fingerprint(v.Text)
		c.add(Finding{Level: Gap, Line: v.Line, Key: v.Key, Text: setting + " of the connection: " + s.Gap + "; change it as well, because it has leaked"})
	case v.Unknown != "":
		s.Gap = c.why(v)
		c.add(Finding{Level: Gap, Line: v.Line, Key: v.Key, Text: setting + " of the connection: " + s.Gap})
	default:
		return false
	}
	c.Settings = append(c.Settings, s)
	return true
}

// userinfo is a URL with a password, and login a user with one, as no setting has it.
var (
	userinfo = regexp.MustCompile(`://[^/\s@]*:[^/\s@]+@`)
	login    = regexp.MustCompile(`:[^/\s@]+@`)
)

// refuseUserInfo leaves a trigger whose result would hold a URL with a password: no key that becomes a plain text
// has one in a manifest that works.
func (c *conversion) refuseUserInfo() {
	settings := []string{c.Host}
	for _, s := range c.Settings {
		settings = append(append(settings, s.Text), s.List...)
	}
	names := []string{c.Was, c.Queue, c.OldMetric}
	for _, p := range c.Keys {
		names = append(names, p.Value)
	}
	if slices.ContainsFunc(names, userinfo.MatchString) || slices.ContainsFunc(settings, login.MatchString) {
		c.leave("", "a value holds a user with a password, which neither the connection nor the trigger may have")
		c.Settings, c.Keys, c.Was, c.Host, c.Queue, c.OldMetric = nil, nil, "", "", "", ""
	}
}

// known returns a blank and a value if it is one of the names that KEDA knows: any other text may be a secret
// under the wrong key.
func known(value string, names ...string) string {
	if slices.Contains(names, value) {
		return " " + value
	}
	return ""
}
