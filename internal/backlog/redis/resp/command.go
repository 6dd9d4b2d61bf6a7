package resp

import (
	"fmt"
	"slices"
	"strconv"
)

// A Command is one command of a pipeline.
type Command struct {
	// Key decides which server of a cluster answers; empty is any.
	Key string
	// KeyType is the letter of the key's type in notify-keyspace-events, such as 'l'
	// for a list; 0 for a command whose key need not be tracked.
	KeyType byte
	// Asking makes a server answer for a slot that it is about to receive.
	Asking bool
	// Transaction is a number that neighbours share which are to be run as one; 0 for a
	// command that is run by itself.
	Transaction int
	Args        []any
}

// Undivided returns how many of the commands are sent at once: at most length, unless the first of
// them are one transaction that is longer. No transaction is divided.
func Undivided(commands []Command, length int) int {
	divides := func(at int) bool {
		return at < len(commands) && commands[at].Transaction != 0 && commands[at].Transaction == commands[at-1].Transaction
	}
	for at := min(len(commands), length); at > 0; at-- {
		if !divides(at) {
			return at
		}
	}
	for at := length; at < len(commands); at++ {
		if !divides(at) {
			return at
		}
	}
	return len(commands)
}

// SameAs reports whether two commands have the same arguments.
func (c Command) SameAs(other Command) bool { return slices.Equal(c.Args, other.Args) }

// AppendText appends the arguments as a text that differs for any two commands whose
// arguments differ: each with its length, as in "3:GET4:jobs".
func (c Command) AppendText(dst []byte) []byte {
	for _, arg := range c.Args {
		switch v := arg.(type) {
		case string:
			dst = strconv.AppendInt(dst, int64(len(v)), 10)
			dst = append(dst, ':')
			dst = append(dst, v...)
		case int:
			// No length begins with '#'.
			dst = append(dst, '#')
			dst = strconv.AppendInt(dst, int64(v), 10)
			dst = append(dst, ';')
		default:
			text := fmt.Sprintf("%T %v", v, v)
			dst = append(dst, '?')
			dst = strconv.AppendInt(dst, int64(len(text)), 10)
			dst = append(dst, ':')
			dst = append(dst, text...)
		}
	}
	return dst
}
