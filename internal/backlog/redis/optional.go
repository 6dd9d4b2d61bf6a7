package redis

import (
	"errors"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// refused reports whether the server denies the command or its key to the scaler.
func refused(r reply) bool { return r.err != nil && errors.Is(reason(r.err), backlog.ErrDenied) }

// optional takes a reply to a command that the reading can do without. It returns false
// where the server denies the command or its key, which is no error.
func (c *counts) optional() (reply, bool) {
	r := c.take()
	return r, !refused(r)
}

// optionalCount takes a number that the reading can do without: unknown where the server
// denies the command or its key.
func (c *counts) optionalCount() backlog.Count {
	r, allowed := c.optional()
	if !allowed {
		return backlog.Count{}
	}
	n, err := r.count()
	if err != nil {
		c.fault(err)
	}
	return backlog.Exactly(n)
}

// optionalTexts takes an array of texts that the reading can do without; false where the
// server denies the command or its key.
func (c *counts) optionalTexts() ([]string, bool) {
	r, allowed := c.optional()
	if !allowed {
		return nil, false
	}
	one := counts{replies: []reply{r}}
	all := one.texts(-1)
	if one.err != nil {
		c.fault(one.err)
	}
	return all, true
}

// optionalText takes a text that the reading can do without; "" where there is none or
// where the server denies the command or its key.
func (c *counts) optionalText() (string, bool) {
	r, allowed := c.optional()
	if !allowed {
		return "", false
	}
	one := counts{replies: []reply{r}}
	value, _ := one.text()
	if one.err != nil {
		c.fault(one.err)
	}
	return value, true
}
