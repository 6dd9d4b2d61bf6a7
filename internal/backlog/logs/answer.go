package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// An answer is what a server says about a question.
type answer struct {
	count int64
	// known reports that the answer has a count.
	known bool
	// warning is a remark of the server.
	warning string
}

// mismatch makes an error one of the query, and not of the connection.
func mismatch(err error) error { return fmt.Errorf("%w: %w", backlog.ErrMismatch, err) }

// refused returns the error of an answer that is no 200.
func refused(r httpapi.Response) error {
	err := r.Error(backlog.ErrMismatch)
	// The words are those of VictoriaLogs.
	if r.Status == http.StatusNotFound || strings.HasPrefix(r.ErrorText, "unsupported path requested") {
		return backlog.WithAdvice(err, "url, whose path is put before that of the API, or server: another one answers there")
	}
	return err
}

// plainReason returns the error of an answer of VictoriaLogs or Loki, which is its first line of text.
// A proxy in front of them may answer in JSON, or with a page, which is not repeated.
func plainReason(body []byte) string {
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte("<")) {
		return ""
	}
	if bytes.HasPrefix(body, []byte("{")) {
		var object struct {
			Error   string `json:"error"`
			Message string `json:"message"`
		}
		_ = json.Unmarshal(body, &object) // a text of another form is not repeated
		if object.Error != "" {
			return object.Error
		}
		return object.Message
	}
	line, _, _ := bytes.Cut(body, []byte("\n"))
	return string(line)
}

// A vectorAnswer is the answer to an instant query, as Prometheus defines it and as VictoriaLogs and
// Loki have taken it over: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
type vectorAnswer struct {
	Status string `json:"status"`
	Data   struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Value []json.RawMessage `json:"value"`
		} `json:"result"`
	} `json:"data"`
	Warnings []string `json:"warnings"`
}

// maxWarnings is how many remarks of a server are kept.
const maxWarnings = 3

// parseVector returns the one number of a vector. The answer is not known if the vector is empty.
func parseVector(body []byte) (answer, error) {
	var v vectorAnswer
	if err := json.Unmarshal(body, &v); err != nil {
		return answer{}, unreadable(err)
	}
	found := answer{warning: backlog.Line(strings.Join(v.Warnings[:min(len(v.Warnings), maxWarnings)], "; "))}
	results := v.Data.Result
	switch {
	case v.Status != "success" || v.Data.ResultType != "vector" || results == nil:
		return answer{}, mismatch(errors.New("the answer is no vector"))
	case len(results) == 0:
		return found, nil
	case len(results) > 1:
		return answer{}, mismatch(fmt.Errorf("the answer has %d numbers, want one", len(results)))
	case len(results[0].Value) != 2:
		return answer{}, mismatch(errors.New("the answer has a sample that is not a time and a number"))
	}
	var text string
	if err := json.Unmarshal(results[0].Value[1], &text); err != nil {
		return answer{}, mismatch(errors.New("the answer has a sample whose number is no JSON string"))
	}
	var err error
	found.count, err = parseCount(text)
	found.known = err == nil
	return found, err
}

// maxCount is the largest count that a float64 holds exactly, which is how Loki counts.
const maxCount = 1 << 53

// parseCount returns a number of entries.
func parseCount(text string) (int64, error) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || number < 0 || number > maxCount || math.IsNaN(number) || number != math.Trunc(number) {
		return 0, mismatch(fmt.Errorf("%q is no number of entries", shorten(text)))
	}
	return int64(number), nil
}

// maxText is how many bytes of a text of a server are repeated.
const maxText = 300

// shorten returns the beginning of a text of a server, without secrets, to be quoted.
func shorten(text string) string {
	text = backlog.Redact(text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "..."
	}
	return text
}

// unreadable returns the error of a body that does not have the form of the API. It repeats nothing of
// the body.
func unreadable(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		// The decoder appends the number itself to "number".
		kind, _, _ := strings.Cut(wrong.Value, " ")
		return mismatch(fmt.Errorf("the answer has a JSON %s as %q, which is not of that type in the API", kind, wrong.Field))
	}
	return mismatch(errors.New("the answer is not the JSON of the API"))
}
