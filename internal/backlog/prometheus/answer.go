package prometheus

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An answer is the form of all answers of the API:
// https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview.
type answer struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
	// Partial reports that a part of the series is missing: an addition of VictoriaMetrics.
	Partial  bool     `json:"isPartial"`
	Warnings []string `json:"warnings"`
	Infos    []string `json:"infos"`
	Data     struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// A sample is an element of a vector.
type sample struct {
	// Value is the time and the number, as text.
	Value []json.RawMessage `json:"value"`
	// Histogram is there in place of Value for a native histogram.
	Histogram json.RawMessage `json:"histogram"`
}

// parse returns the reading that an answer is, without its time. An answer without exactly one
// number is an error.
func parse(body []byte) (backlog.Reading, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return backlog.Reading{}, fmt.Errorf("%w: the answer is not the JSON of Prometheus", backlog.ErrMismatch)
	}
	switch {
	case a.Status != "success":
		return backlog.Reading{}, a.fault()
	case a.Partial:
		return backlog.Reading{}, fmt.Errorf("%w: the server says that a part of the series is missing", backlog.ErrPartial)
	}
	measured, err := a.number()
	if err != nil {
		return backlog.Reading{}, err
	}
	return backlog.Reading{Measured: measured, Warning: warning(append(a.Warnings, a.Infos...))}, nil
}

// fault returns the error that an answer with the status 200 describes.
func (a *answer) fault() error {
	reason := backlog.ErrMismatch
	switch a.ErrorType {
	case "timeout", "canceled", "internal", "unavailable":
		reason = backlog.ErrUnavailable
	}
	if a.Error == "" {
		return fmt.Errorf("%w: the answer is neither a success nor an error", backlog.ErrMismatch)
	}
	return fmt.Errorf("%w: the server answers %s: %s", reason, strconv.Quote(shorten(a.ErrorType)), strconv.Quote(shorten(a.Error)))
}

// number returns the only number of an answer.
func (a *answer) number() (backlog.Measurement, error) {
	switch a.Data.ResultType {
	case "scalar":
		return parseValue(a.Data.Result)
	case "vector":
		return parseVector(a.Data.Result)
	case "matrix":
		return backlog.Measurement{}, fmt.Errorf("%w: the query yields a range of samples, want one sample; leave out [DURATION] or apply a function such as rate", backlog.ErrMismatch)
	case "string":
		return backlog.Measurement{}, fmt.Errorf("%w: the query yields a text, want one sample", backlog.ErrMismatch)
	default:
		return backlog.Measurement{}, fmt.Errorf("%w: the answer has a result of the type %q, want vector or scalar", backlog.ErrMismatch, shorten(a.Data.ResultType))
	}
}

// parseVector returns the number of a vector of one sample.
func parseVector(result json.RawMessage) (backlog.Measurement, error) {
	var vector []json.RawMessage
	if err := json.Unmarshal(result, &vector); err != nil || vector == nil {
		return backlog.Measurement{}, fmt.Errorf("%w: the answer has no vector", backlog.ErrMismatch)
	}
	switch len(vector) {
	case 0:
		return backlog.Measurement{}, fmt.Errorf("%w: no series matches, so the number is unknown; append \"or vector(0)\" to the query if it is 0 then", backlog.ErrMismatch)
	case 1:
	default:
		return backlog.Measurement{}, fmt.Errorf("%w: the query yields %d samples, want one; aggregate them, for instance with sum()", backlog.ErrMismatch, len(vector))
	}
	var one sample
	if err := json.Unmarshal(vector[0], &one); err != nil {
		return backlog.Measurement{}, fmt.Errorf("%w: the answer has no sample", backlog.ErrMismatch)
	}
	if one.Histogram != nil && one.Value == nil {
		return backlog.Measurement{}, fmt.Errorf("%w: the query yields a histogram, want a number; apply histogram_quantile or histogram_count", backlog.ErrMismatch)
	}
	return parsePair(one.Value)
}

// parseValue returns the number of a pair of a time and a number.
func parseValue(result json.RawMessage) (backlog.Measurement, error) {
	var pair []json.RawMessage
	if json.Unmarshal(result, &pair) != nil {
		pair = nil
	}
	return parsePair(pair)
}

func parsePair(pair []json.RawMessage) (backlog.Measurement, error) {
	var text string
	if len(pair) != 2 || json.Unmarshal(pair[1], &text) != nil {
		return backlog.Measurement{}, fmt.Errorf("%w: the answer has no value", backlog.ErrMismatch)
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return backlog.Measurement{}, fmt.Errorf("%w: the value %q is not a number", backlog.ErrMismatch, shorten(text))
	}
	return backlog.Measured(number)
}

// The bounds of texts of the server.
const (
	// maxText is the length of one text in bytes.
	maxText = 200
	// maxWarnings is the number of warnings that are kept.
	maxWarnings = 3
)

// shorten returns a text of the server as one line of at most maxText bytes.
func shorten(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "..."
	}
	return backlog.Line(backlog.Redact(text))
}

// warning returns the first warnings and infos of the server. Prometheus ends some of them with
// the position in the query, which does not change by itself.
func warning(all []string) string {
	texts := make([]string, 0, maxWarnings)
	for _, text := range all[:min(len(all), maxWarnings)] {
		texts = append(texts, shorten(text))
	}
	return strings.Join(texts, "; ")
}
