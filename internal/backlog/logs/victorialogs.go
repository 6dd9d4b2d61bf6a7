package logs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// victoria asks VictoriaLogs:
// https://docs.victoriametrics.com/victorialogs/querying/#querying-log-stats
type victoria struct {
	client client
	// tenant are the headers AccountID and ProjectID.
	tenant http.Header
}

// count implements language. VictoriaLogs answers a number also where nothing is found, so that 0 is
// the truth.
func (v victoria) count(ctx context.Context, q question) (answer, error) {
	query, err := logsQL(q)
	if err != nil {
		return answer{}, mismatch(fmt.Errorf("query: %w", err))
	}
	form := url.Values{
		"query": {query},
		// A cluster with a part that does not answer is an error.
		"allow_partial_response": {"0"},
	}
	if q.filter != "" {
		// The server adds it to the query and to all of its subqueries, so that nothing in the query
		// can widen it: https://docs.victoriametrics.com/victorialogs/querying/#extra-filters
		form.Set("extra_filters", q.filter)
	}
	response, err := v.client.Do(ctx, httpapi.Request{
		Method: http.MethodPost, Path: "/select/logsql/stats_query", Header: v.tenant,
		ContentType: "application/x-www-form-urlencoded", Body: []byte(form.Encode()),
		ErrorText: plainReason,
	})
	if err != nil {
		return answer{}, err
	}
	if response.Status != http.StatusOK {
		return answer{}, refused(response)
	}
	found, err := parseVector(response.Body)
	if err == nil && !found.known {
		err = mismatch(errors.New("the answer has no count"))
	}
	return found, err
}

// probe implements language. The version is not part of this API.
func (v victoria) probe(ctx context.Context) (string, error) {
	_, err := v.count(ctx, question{text: "*", window: minWindow})
	return victoriaLogs, err
}

// logsQL returns the query of a question: the number of entries in the window that the filter of the
// trigger finds. The filter stands between parentheses, and the newline ends a comment in it.
func logsQL(q question) (string, error) {
	if err := checkLogsQL(q.text); err != nil {
		return "", err
	}
	return "_time:" + q.seconds() + " (" + q.text + "\n) | stats count() as hits", nil
}

// checkLogsQL reports a text that is no filter, such as one with pipes: what is counted after these
// would not be entries, and a pipe can also join other entries.
func checkLogsQL(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("is empty, want a filter of LogsQL")
	}
	return grammar{
		quotes: "\"'`", opening: "([{", closing: ")]}",
		forbidden: func(letter rune) string {
			switch letter {
			case '|':
				return "begins a pipe, and only filters are counted"
			case '#':
				return "begins a comment"
			default:
				return ""
			}
		},
	}.check(text)
}
