package resp

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// answer is an error that a server gave.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestReason(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"WRONGTYPE Operation against a key holding the wrong kind of value": backlog.ErrMismatch,
		"NOPERM this user has no permissions to run the 'llen' command":     backlog.ErrDenied,
		"NOAUTH Authentication required.":                                   backlog.ErrDenied,
		"WRONGPASS invalid username-password pair or user is disabled.":     backlog.ErrDenied,
		"DENIED Redis is running in protected mode":                         backlog.ErrDenied,
		"ERR unknown command 'LLEN', with args beginning with: ":            backlog.ErrDenied,
		"LOADING Redis is loading the dataset in memory":                    backlog.ErrUnavailable,
		"MASTERDOWN Link with MASTER is down":                               backlog.ErrUnavailable,
		"CLUSTERDOWN Hash slot not served":                                  backlog.ErrUnavailable,
		"READONLY You can't write against a read only replica.":             backlog.ErrUnavailable,
		"TRYAGAIN Multiple keys request during rehashing of slot":           backlog.ErrUnavailable,
		"BUSY Redis is busy running a script.":                              backlog.ErrUnavailable,
		"ERR max number of clients reached":                                 backlog.ErrUnavailable,
		"ERR something unheard of":                                          backlog.ErrUnavailable,
	} {
		if got := Reason(fmt.Errorf("do it: %w", answer(text))); !errors.Is(got, want) {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	if got := Reason(os.ErrDeadlineExceeded); !errors.Is(got, backlog.ErrUnavailable) {
		t.Errorf("a timeout is %v", got)
	}
	if got := Reason(ErrReply); !errors.Is(got, backlog.ErrPartial) {
		t.Errorf("a reply of a wrong form is %v", got)
	}
}
