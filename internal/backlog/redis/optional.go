package redis

import (
	"errors"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// refused reports whether the server denies the command or its key to the scaler.
func refused(r reply) bool { return r.err != nil && errors.Is(reason(r.err), backlog.ErrDenied) }

// allowed reports whether the server allowed the command of the next reply, and skips the
// reply if it did not. It is for what a reading can do without.
func (c *counts) allowed() bool {
	if len(c.replies) == 0 || !refused(c.replies[0]) {
		return true
	}
	c.replies = c.replies[1:]
	return false
}

// optionalCount takes a number that the reading can do without: unknown where the server
// denies the command or its key.
func (c *counts) optionalCount() backlog.Count {
	if !c.allowed() {
		return backlog.Count{}
	}
	return backlog.Exactly(c.number())
}

// optionalTexts takes an array of texts that the reading can do without; false where the
// server denies the command or its key.
func (c *counts) optionalTexts() ([]string, bool) {
	if !c.allowed() {
		return nil, false
	}
	return c.texts(-1), true
}

// optionalText takes a text that the reading can do without; "" where there is none, and
// false where the server denies the command or its key.
func (c *counts) optionalText() (string, bool) {
	if !c.allowed() {
		return "", false
	}
	value, _ := c.text()
	return value, true
}
