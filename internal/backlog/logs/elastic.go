package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// elastic asks Elasticsearch or OpenSearch, which share this part of their APIs:
// https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-count
// https://docs.opensearch.org/latest/api-reference/search-apis/count/
type elastic struct {
	client client
	// server is the kind, as the setting names it.
	server string
}

// count implements language. Indices that are missing or have no such field, and shards that do not
// answer, make the count unknown.
func (e elastic) count(ctx context.Context, q question) (answer, error) {
	if err := checkPlace(q); err != nil {
		return answer{}, mismatch(err)
	}
	body, err := json.Marshal(countBody(q))
	if err != nil {
		return answer{}, mismatch(fmt.Errorf("write the query: %w", err))
	}
	response, err := e.client.Do(ctx, httpapi.Request{
		Method: http.MethodPost, Path: "/" + q.index + "/_count",
		// An index or pattern that matches nothing is an error, and not 0.
		Query:       url.Values{"allow_no_indices": {"false"}, "ignore_unavailable": {"false"}},
		ContentType: "application/json", Body: body, ErrorText: elasticReason,
	})
	if err != nil {
		return answer{}, err
	}
	if response.Status != http.StatusOK {
		return answer{}, refusedByElastic(response)
	}
	found, err := parseCounted(response.Body)
	if err == nil && found.count == 0 {
		// Entries without the field are outside of every window.
		err = e.checkTimes(ctx, q)
	}
	return found, err
}

// maxVersion is how many bytes of a version are kept.
const maxVersion = 40

// probe implements language. It asks for the version, which needs the right to monitor the cluster:
// https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-info
func (e elastic) probe(ctx context.Context) (string, error) {
	response, err := e.client.Do(ctx, httpapi.Request{Path: "/", ErrorText: elasticReason})
	if err != nil {
		return "", err
	}
	if response.Status != http.StatusOK {
		return "", refused(response)
	}
	var info struct {
		Version struct {
			Number string `json:"number"`
		} `json:"version"`
	}
	if err := json.Unmarshal(response.Body, &info); err != nil {
		return "", unreadable(err)
	}
	number := info.Version.Number
	if number == "" || len(number) > maxVersion {
		return "", mismatch(errors.New("the answer has no version"))
	}
	return e.server + " " + backlog.Line(number), nil
}

// A clause is a part of a query in Elasticsearch's language.
type clause map[string]any

// countBody returns the query of a question. The query of the trigger and the filter of the connection
// are values of JSON, so that neither can change the other.
func countBody(q question) clause {
	all := []clause{
		{"query_string": clause{"query": q.text}},
		{"range": clause{q.timeField: clause{"gt": "now-" + q.seconds(), "lte": "now"}}},
	}
	if q.filter != "" {
		all = append(all, clause{"query_string": clause{"query": q.filter}})
	}
	return clause{"query": clause{"bool": clause{"filter": all}}}
}

// counted is the answer of _count.
type counted struct {
	Count           *int64 `json:"count"`
	TerminatedEarly bool   `json:"terminated_early"`
	Shards          *struct {
		Total      int64 `json:"total"`
		Successful int64 `json:"successful"`
		Failed     int64 `json:"failed"`
		Failures   []struct {
			Reason elasticCause `json:"reason"`
		} `json:"failures"`
	} `json:"_shards"`
}

// parseCounted returns the number of an answer of _count, if all shards have answered.
func parseCounted(body []byte) (answer, error) {
	var c counted
	if err := json.Unmarshal(body, &c); err != nil {
		return answer{}, unreadable(err)
	}
	switch {
	case c.Count == nil || c.Shards == nil || *c.Count < 0 || *c.Count > maxCount:
		return answer{}, mismatch(errors.New("the answer has no count"))
	case c.Shards.Total == 0:
		return answer{}, mismatch(errors.New("no index matches"))
	case c.Shards.Failed > 0 || c.Shards.Successful < c.Shards.Total || c.TerminatedEarly:
		err := fmt.Errorf("%w: %d of %d shards have answered", backlog.ErrPartial, c.Shards.Successful, c.Shards.Total)
		if len(c.Shards.Failures) > 0 && c.Shards.Failures[0].Reason.Reason != "" {
			err = fmt.Errorf("%w: %q", err, shorten(c.Shards.Failures[0].Reason.Reason))
		}
		return answer{}, err
	}
	return answer{count: *c.Count, known: true}, nil
}

// checkTimes reports that the indices have no field of time by that name, so that the window of the
// count was empty.
func (e elastic) checkTimes(ctx context.Context, q question) error {
	response, err := e.client.Do(ctx, httpapi.Request{
		Path: "/" + q.index + "/_field_caps", Query: url.Values{"fields": {q.timeField}}, ErrorText: elasticReason,
	})
	if err != nil {
		return err
	}
	if response.Status != http.StatusOK {
		return refusedByElastic(response)
	}
	var caps struct {
		// Fields are the types of each field by name.
		Fields map[string]map[string]json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal(response.Body, &caps); err != nil {
		return unreadable(err)
	}
	for kind := range caps.Fields[q.timeField] {
		if !slices.Contains([]string{"date", "date_nanos"}, kind) {
			return backlog.WithAdvice(mismatch(fmt.Errorf("field %q of index %q is of type %q, and not of time", q.timeField, q.index, shorten(kind))),
				"timeField: a field of type date")
		}
	}
	if len(caps.Fields[q.timeField]) == 0 {
		return backlog.WithAdvice(mismatch(fmt.Errorf("index %q has no field %q, so that no entry lies in the window", q.index, q.timeField)),
			"timeField: the field with the time of an entry")
	}
	return nil
}

// An elasticCause is why something failed.
type elasticCause struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// elasticReason returns the error of an answer. The root cause says more than the whole, which may be
// "all shards failed".
func elasticReason(body []byte) string {
	var failed struct {
		Error struct {
			elasticCause
			RootCause []elasticCause `json:"root_cause"`
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &failed); err != nil {
		return ""
	}
	if roots := failed.Error.RootCause; len(roots) > 0 && roots[0].Reason != "" {
		return roots[0].Reason
	}
	return failed.Error.Reason
}

// refusedByElastic returns the error of an answer that is no 200. A missing index is a 404 as well, and
// then the error says so.
func refusedByElastic(r httpapi.Response) error {
	if r.Status == http.StatusNotFound && r.ErrorText != "" {
		return backlog.WithAdvice(mismatch(fmt.Errorf("the server answers %q, so that the count is unknown", r.ErrorText)), "index: one that exists")
	}
	return refused(r)
}

// checkPlace reports parameters that cannot be asked.
func checkPlace(q question) error {
	if err := checkIndex(q.index); err != nil {
		return err
	}
	return checkField(q.timeField)
}

// indexName is a name of an index, alias or data stream, with stars, and with a minus where it leaves
// out what was named before it. What Elasticsearch allows beyond this needs escapes in a path.
// https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-indices-create
var indexName = regexp.MustCompile(`^-?[A-Za-z0-9*.][A-Za-z0-9*._-]*$`)

// checkIndex reports the value of the parameter index that cannot be asked.
func checkIndex(index string) error {
	if index == "" {
		return errors.New("index: required for Elasticsearch and OpenSearch, want the name of an index, data stream or alias")
	}
	if strings.Contains(index, ":") {
		return errors.New("index: names another cluster, and a count does not show whether that has answered")
	}
	for i, name := range strings.Split(index, ",") {
		if !indexName.MatchString(name) || strings.Trim(name, ".") == "" || i == 0 && name[0] == '-' {
			return fmt.Errorf("index: %q, want names of letters, digits, dots, dashes, underscores and stars, separated by commas", backlog.Line(name))
		}
	}
	return nil
}

// fieldName is a name of a field of at most maxField bytes, without the stars and commas that would
// name several.
var fieldName = regexp.MustCompile(`^[A-Za-z0-9@_][A-Za-z0-9@_.-]*$`)

const maxField = 255

// checkField reports the value of the parameter timeField that cannot be asked.
func checkField(field string) error {
	if len(field) > maxField || !fieldName.MatchString(field) {
		return fmt.Errorf("timeField: %q, want the name of a field", backlog.Line(field))
	}
	return nil
}
