package management

import (
	"errors"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestPagesOfAHostileServer: no page makes a queue empty that the server does not say so of.
func TestPagesOfAHostileServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"empty":          {"", backlog.ErrMismatch},
		"null":           {"null", backlog.ErrMismatch},
		"list":           {`[]`, backlog.ErrMismatch},
		"no items":       {`{"page_count":1}`, backlog.ErrMismatch},
		"null items":     {`{"items":null,"page_count":1}`, backlog.ErrMismatch},
		"negative pages": {`{"items":[],"page_count":-1}`, backlog.ErrMismatch},
		"endless":        {`{"items":[],"page_count":1000000}`, backlog.ErrExhausted},
		"too many":       {`{"items":[` + strings.Repeat(`{"name":"q"},`, pageSize) + `{"name":"q"}],"page_count":1}`, backlog.ErrMismatch},
		"deep":           {`{"items":[{"name":"q","arguments":` + strings.Repeat("[", 100_000) + `}],"page_count":1}`, backlog.ErrMismatch},
		"name is number": {`{"items":[{"name":1}],"page_count":1}`, backlog.ErrMismatch},
	} {
		if _, err := parsePage([]byte(c.body), map[string]Queue{}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	for _, number := range []string{"null", "-1", "1.5", `"3"`, "1e30", "{}", "[]", "true"} {
		for _, key := range []string{"messages", "messages_ready", "messages_unacknowledged"} {
			body := `{"items":[{"name":"q","type":"classic","state":"running","messages":0,"messages_ready":0,"messages_unacknowledged":0}],"page_count":1}`
			body = strings.Replace(body, `"`+key+`":0`, `"`+key+`":`+number, 1)
			queues := map[string]Queue{}
			if _, err := parsePage([]byte(body), queues); err != nil || queues["q"].Counted {
				t.Errorf("%s %s: %+v, %v; want a queue whose numbers are unknown", key, number, queues["q"], err)
			}
		}
	}
}

// FuzzParsePage: no page of a server ends the process or has a negative number.
func FuzzParsePage(f *testing.F) {
	f.Add(`{"items":[{"name":"q","type":"classic","state":"running","messages":3,"messages_ready":1,"messages_unacknowledged":2,"arguments":{"x-single-active-consumer":true}}],"page_count":1}`)
	f.Add(`{"items":[{"name":"q","leader":null,"arguments":[]}],"page_count":2}`)
	f.Fuzz(func(t *testing.T, body string) {
		queues := map[string]Queue{}
		pages, err := parsePage([]byte(body), queues)
		if err == nil && (pages < 0 || pages > maxPages) {
			t.Errorf("%d pages", pages)
		}
		for name, one := range queues {
			if one.Total < 0 || one.Unacked < 0 || one.Unacked > one.Total || len(name) > MaxQueueName {
				t.Errorf("%q is %+v", name, one)
			}
		}
	})
}
