package sqs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs"
)

// queueURL is the URL of a queue, which needs no call to be found.
const queueURL = "https://sqs.eu-central-1.amazonaws.com/123456789012/jobs"

// attributes is an answer with so many visible messages.
func attributes(visible int) string {
	return fmt.Sprintf(`{"Attributes":{"ApproximateNumberOfMessages":"%d","ApproximateNumberOfMessagesNotVisible":"0","ApproximateNumberOfMessagesDelayed":"0","CreatedTimestamp":"1"}}`, visible)
}

// fake starts a service that answers as handler says. moto is never behind and never hostile.
func fake(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	service := httptest.NewServer(handler)
	t.Cleanup(service.Close)
	return service.URL
}

// TestNumbersThatAreBehind: a service whose numbers are behind says 0 of a queue with work for a while.
// KEDA's trigger scales to zero then. Nothing below what is known is read.
func TestNumbersThatAreBehind(t *testing.T) {
	t.Parallel()
	var visible atomic.Int64
	url := fake(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, attributes(int(visible.Load()))) })
	source := backlogtest.Open(t, sqs.Engine(), settings(url, map[string]any{"emptyFor": time.Hour}))
	for _, says := range []int64{7, 0, 0, 0, 7, 0} {
		visible.Store(says)
		r := backlogtest.ReadOnce(t, source, query(queueURL))[0]
		if r.Err != nil || r.Reading.Ready != 7 || r.Pending != (says == 0) {
			t.Errorf("the service names %d of seven messages: read as %+v", says, r)
		}
	}
}

// TestBudget: calls stay within the budget. What it has no call for keeps its last reading, with its time,
// and what was never read is unknown.
func TestBudget(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	url := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		fmt.Fprint(w, attributes(3))
	})
	source := backlogtest.Open(t, sqs.Engine(), settings(url, map[string]any{"callsPerMinute": int64(60)}))
	first := backlogtest.MustRead(t, source, query(queueURL))
	const rounds = 200
	pending, unknown := 0, 0
	for i := range rounds {
		other := query(strings.Replace(queueURL, "jobs", fmt.Sprint("others-", i), 1))
		results := backlogtest.ReadOnce(t, source, query(queueURL), other)
		r := results[0]
		if r.Err != nil || r.Reading.Ready != 3 || r.Reading.At.Before(first.At) {
			t.Fatalf("three messages read as %+v", r)
		}
		if r.Pending {
			pending++
		}
		if results[1].Err != nil && results[1].Pending {
			unknown++
		}
	}
	if pending == 0 || unknown == 0 {
		t.Errorf("%d and %d of %d reads were postponed", pending, unknown, rounds)
	}
	status := source.Status()
	if n := calls.Load(); status.Calls == nil || status.Calls.Made != uint64(n) || status.Calls.PerMinute != 60 || n > 6+int64(time.Since(first.At)/time.Second)+2 {
		t.Errorf("%d calls, and the status has %+v", n, status.Calls)
	}
	if pacer, is := source.(backlog.Pacer); !is || pacer.Pause(query(queueURL)) <= 0 {
		t.Error("the source does not say how soon to read again")
	}
}

// TestHostileAnswers: whatever a service answers is an error, and costs a bounded amount of memory.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	number := func(text string) string {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Replace(attributes(1), `"1"`, string(quoted), 1)
	}
	write := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	status := func(code int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, text)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    error
	}{
		"no attributes":     {write(`{}`), backlog.ErrPartial},
		"an attribute less": {write(strings.Replace(attributes(1), "Delayed", "Delay", 1)), backlog.ErrPartial},
		"no time":           {write(strings.Replace(attributes(1), "CreatedTimestamp", "Created", 1)), backlog.ErrPartial},
		"null":              {write(`null`), backlog.ErrMismatch},
		"a negative number": {write(number("-1")), backlog.ErrMismatch},
		"no number":         {write(number("many")), backlog.ErrMismatch},
		"an endless number": {write(number(strings.Repeat("9", 1000))), backlog.ErrMismatch},
		"a fraction":        {write(number("1.5")), backlog.ErrMismatch},
		"an object":         {write(strings.Replace(attributes(1), `"1"`, `{}`, 1)), backlog.ErrMismatch},
		"no JSON":           {write("<html>Sign in</html>"), backlog.ErrMismatch},
		"half of it":        {write(attributes(1)[:40]), backlog.ErrMismatch},
		"nothing":           {write(""), backlog.ErrPartial},
		"deep":              {write(strings.Repeat("[", 60_000)), backlog.ErrMismatch},
		"long":              {write(`{"Attributes":{"a":"` + strings.Repeat("a", 1<<20) + `"}}`), backlog.ErrMismatch},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, backlog.ErrMismatch},
		"an error of its own": {status(http.StatusBadRequest, `{"__type":"com.amazonaws.sqs#`+strings.Repeat("E", 5000)+`","message":"`+strings.Repeat("m", 5000)+`"}`), backlog.ErrMismatch},
		"throttled":           {status(http.StatusBadRequest, `{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slower"}`), backlog.ErrUnavailable},
		"broken":              {status(http.StatusServiceUnavailable, "busy"), backlog.ErrUnavailable},
		"denied by a proxy":   {status(http.StatusForbidden, "<html>no</html>"), backlog.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := backlogtest.Open(t, sqs.Engine(), settings(fake(t, c.handler), nil))
			r := backlogtest.ReadOnce(t, source, query(queueURL))[0]
			if !errors.Is(r.Err, c.want) || len(r.Err.Error()) > 1500 {
				t.Errorf("%+v, want %v", r, c.want)
			}
		})
	}
}

// TestEndlessAnswer: a body that never ends is cut off.
func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	url := fake(t, func(w http.ResponseWriter, r *http.Request) {
		block := []byte(strings.Repeat("a", 4096))
		_, _ = io.WriteString(w, `{"Attributes":{"a":"`)
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	source := backlogtest.Open(t, sqs.Engine(), settings(url, map[string]any{"answerTimeout": time.Minute}))
	if r := backlogtest.ReadOnce(t, source, query(queueURL))[0]; !errors.Is(r.Err, backlog.ErrMismatch) {
		t.Errorf("%+v, want ErrMismatch", r)
	}
}
