package layouttest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// An UnknownCase is a queue in which something makes no sense.
type UnknownCase struct {
	Query backlog.Query
	// Keys are commands; each word is an argument.
	Keys []string
	// Want is the reading without its time and epoch, or Err the error in place of one.
	Want backlog.Reading
	Err  error
}

// CheckUnknown checks that what makes no sense is never nothing: it is an error, or the reading
// says how good it is. Each queue is on a server of its own.
func CheckUnknown(t *testing.T, cases map[string]UnknownCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			source := OpenServer(t, server, nil)
			for _, command := range c.Keys {
				server.Do(Words(command)...)
			}
			r := backlogtest.Read(t, source, c.Query)[0]
			if !errors.Is(r.Err, c.Err) {
				t.Fatalf("%+v, want the error %v", r, c.Err)
			}
			r.Reading.At, r.Reading.Epoch = time.Time{}, ""
			if diff := cmp.Diff(c.Want, r.Reading); diff != "" {
				t.Error(diff)
			}
		})
	}
}
