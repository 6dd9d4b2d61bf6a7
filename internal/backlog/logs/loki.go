package logs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// grafanaLoki asks Loki: https://grafana.com/docs/loki/latest/reference/loki-http-api/
type grafanaLoki struct {
	client client
}

// count implements language. Loki answers nothing where it finds nothing, and also where there is no
// such stream. So nothing is unknown, unless the query ends with "or vector(0)".
func (l grafanaLoki) count(ctx context.Context, q question) (answer, error) {
	query, orZero, err := logQL(q)
	if err != nil {
		return answer{}, mismatch(fmt.Errorf("query: %w", err))
	}
	response, err := l.client.Do(ctx, httpapi.Request{
		Path: "/loki/api/v1/query", Query: url.Values{"query": {query}}, ErrorText: plainReason,
	})
	if err != nil {
		return answer{}, err
	}
	if response.Status != http.StatusOK {
		return answer{}, refused(response)
	}
	found, err := parseVector(response.Body)
	switch {
	case err != nil:
		return answer{}, err
	case found.known:
		return found, nil
	case orZero:
		return answer{known: true, warning: found.warning}, nil
	default:
		return answer{}, backlog.WithAdvice(
			mismatch(fmt.Errorf("no entry in the last %s, or no such stream: Loki does not say which", q.seconds())),
			`query: end it with "or vector(0)" if nothing found means 0`)
	}
}

// probe implements language: every tenant can ask for its labels. The version is not part of this API.
func (l grafanaLoki) probe(ctx context.Context) (string, error) {
	response, err := l.client.Do(ctx, httpapi.Request{Path: "/loki/api/v1/labels", ErrorText: plainReason})
	if err == nil && response.Status != http.StatusOK {
		err = refused(response)
	}
	return loki, err
}

// orVectorZero is the end of a query that says that nothing found means 0. It is written as in PromQL
// and newer versions of LogQL, and not sent, because older versions have no vector().
var orVectorZero = regexp.MustCompile(`\s+or\s+vector\(\s*0\s*\)$`)

// logQL returns the query of a question: the number of entries in the window that the log query of the
// trigger finds. orZero reports whether it ends with "or vector(0)".
func logQL(q question) (query string, orZero bool, err error) {
	text := strings.TrimSpace(q.text)
	if end := orVectorZero.FindStringIndex(text); end != nil {
		text, orZero = strings.TrimSpace(text[:end[0]]), true
	}
	selector, pipeline, err := splitLogQL(text)
	if err != nil {
		return "", false, err
	}
	if q.filter != "" {
		if selector, err = joinMatchers(q.filter, selector); err != nil {
			return "", false, err
		}
	}
	return "sum(count_over_time({" + selector + "}" + pipeline + "[" + q.seconds() + "]))", orZero, nil
}

// splitLogQL splits a log query into what stands between the braces of its stream selector, and the
// pipeline after it: https://grafana.com/docs/loki/latest/query/log_queries/
func splitLogQL(text string) (selector, pipeline string, err error) {
	if !strings.HasPrefix(text, "{") {
		return "", "", errors.New(`want a log query that begins with a stream selector, such as {app="billing"} |= "error"`)
	}
	matchers, rest, err := readMatchers(text[1:])
	if err != nil {
		return "", "", err
	}
	if !strings.HasPrefix(rest, "}") {
		return "", "", fmt.Errorf("the stream selector is not closed after the matcher of %s", matchers[len(matchers)-1].label)
	}
	selector = text[1 : len(text)-len(rest)]
	pipeline = rest[1:]
	return selector, pipeline, grammar{quotes: "\"`", opening: "(", closing: ")", forbidden: notInPipeline}.check(pipeline)
}

// notInPipeline returns what a letter does that no pipeline needs outside of quotes.
func notInPipeline(letter rune) string {
	switch letter {
	case '{', '}':
		return "belongs to a stream selector, and there is one already"
	case '[', ']':
		return "belongs to a range, which is the parameter window"
	case '#':
		return "begins a comment"
	case '\'':
		return "is no quote of LogQL"
	default:
		return ""
	}
}

// A matcher is a condition of a stream selector.
type matcher struct {
	label string
	// text is all of it, such as app=~"a|b".
	text string
}

// matcherHead is the label and the operator of a matcher.
var matcherHead = regexp.MustCompile(`^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*`)

// parseMatchers returns the matchers of a text that has nothing else.
func parseMatchers(text string) ([]matcher, error) {
	matchers, rest, err := readMatchers(text)
	if err == nil && rest != "" {
		err = errors.New(`want label matchers, such as namespace="{namespace}", separated by commas`)
	}
	return matchers, err
}

// readMatchers returns the matchers at the beginning of a text, at least one, and the rest.
func readMatchers(text string) (matchers []matcher, rest string, err error) {
	for {
		head := matcherHead.FindStringSubmatch(text)
		if head == nil {
			return nil, "", errors.New(`want label matchers, each a label, one of = != =~ !~ and a quoted text, such as app="billing"`)
		}
		length, err := quoted(text[len(head[0]):], "\"`")
		if err != nil {
			return nil, "", err
		}
		if length == 0 {
			return nil, "", fmt.Errorf("the value of label %s is not quoted", head[1])
		}
		end := len(head[0]) + length
		matchers = append(matchers, matcher{label: head[1], text: strings.TrimSpace(text[:end])})
		rest = strings.TrimLeft(text[end:], " \t\r\n")
		if !strings.HasPrefix(rest, ",") {
			return matchers, rest, nil
		}
		text = rest[1:]
	}
}

// joinMatchers returns the selector with the matchers of a filter. A selector with a matcher of its own
// for a label of the filter is refused: what several of one label mean is not documented.
func joinMatchers(filter, selector string) (string, error) {
	enforced, err := parseMatchers(filter)
	if err != nil {
		return "", fmt.Errorf("filter: %w", err)
	}
	own, err := parseMatchers(selector)
	if err != nil {
		return "", err
	}
	var all []string
	taken := make(map[string]bool, len(enforced))
	for _, m := range enforced {
		taken[m.label] = true
		all = append(all, m.text)
	}
	for _, m := range own {
		if taken[m.label] {
			return "", fmt.Errorf("label %s is set by the connection, leave it out", m.label)
		}
		all = append(all, m.text)
	}
	return strings.Join(all, ", "), nil
}
