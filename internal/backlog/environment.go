package backlog

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A value that KEDA took from the environment of the scaled container may be a secret of
// the workload, because that environment comes from Secrets as well. A Query knows which
// of its texts came from there, and names them in no text: in their place stands the key,
// as in "[from listFromEnv]".

// ParamFromEnv is the name of the parameter that holds the metadata keys, such as
// "listFromEnv", with texts from the environment. A Query with it differs from the one with the
// same texts in the ScaledObject itself.
const ParamFromEnv = "FromEnv"

// FromEnv returns the placeholder for the value of a metadata key.
func FromEnv(key string) string { return "[from " + key + "]" }

// FromEnv returns the metadata keys with texts from the environment.
func (q Query) FromEnv() []string {
	if !q.Private() {
		return nil
	}
	return strings.Split(q.Params.Get(ParamFromEnv), ",")
}

// Private reports whether some texts of the query came from the environment.
func (q Query) Private() bool { return strings.Contains(string(q.Params), ParamFromEnv+"=") }

// ShownQueue returns the name of the queue as it may be shown.
func (q Query) ShownQueue() string {
	if key := q.queueKey(); key != "" {
		return FromEnv(key)
	}
	return q.Queue
}

// QueueFromEnv reports whether the name of the queue came from the environment.
func (q Query) QueueFromEnv() bool { return q.queueKey() != "" }

// queueKey returns the metadata key whose environment variable names the queue; empty if the
// trigger names it.
func (q Query) queueKey() string {
	for _, key := range q.FromEnv() {
		if key == q.Layout+ParamFromEnv {
			return key
		}
	}
	return ""
}

// The limits of how a text names the queues of a query.
const (
	// fewQueues is how many of several queues are named.
	fewQueues = 3
	// maxShownQueues is the length of their names in bytes.
	maxShownQueues = 240
)

// String names the query in a text: `list "jobs"`, `list "a,b,c" and 997 more` or
// `list [from listFromEnv]`.
func (q Query) String() string {
	if key := q.queueKey(); key != "" {
		return q.Layout + " " + FromEnv(key)
	}
	shown, more := few(q.Queue)
	if len(shown) > maxShownQueues {
		shown = strings.ToValidUTF8(shown[:maxShownQueues], "") + "..."
	}
	text := q.Layout + " " + strconv.Quote(shown)
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// few returns the first names of Queues, and how many more there are.
func few(text string) (first string, more int) {
	end, names, escaped := len(text), 1, false
	for i := range len(text) {
		if text[i] == ',' && !escaped {
			if names == fewQueues {
				end = i
			}
			names++
		}
		escaped = !escaped && text[i] == '\\'
	}
	return text[:end], max(0, names-fewQueues)
}

// A ReadError is why a query could not be read.
type ReadError struct {
	Query      Query
	Connection string
	// Err is the reason. It wraps one of this package's errors.
	Err error
	// Whole reports that Err concerns the connection, so that it reveals nothing of the query.
	Whole bool
}

// Error names the query, the connection and the reason. A message of a server may repeat the
// query, so it is left out of the error of a private query.
func (e *ReadError) Error() string {
	var reason any = e.Err
	if e.Query.Private() && !e.Whole {
		reason = fmt.Sprintf("%s (the words of the server may repeat %s)", Reason(e.Err), e.Query.placeholders())
	}
	if e.Connection == "" {
		return fmt.Sprintf("read %s: %v", e.Query, reason)
	}
	return fmt.Sprintf("read %s of connection %q: %v", e.Query, e.Connection, reason)
}

// Unwrap returns the reason.
func (e *ReadError) Unwrap() error { return e.Err }

// Conceal removes from the result of a private query what may repeat its texts.
func (q Query) Conceal(r *Result) {
	if !q.Private() {
		return
	}
	var known *ReadError
	if r.Err != nil && !errors.As(r.Err, &known) {
		r.Err = &ReadError{Query: q, Err: r.Err}
	}
	r.Reading.Hint = ""
	about := fmt.Sprintf("what it says may repeat %s; \"scaler read\" shows it", q.placeholders())
	if r.Reading.Warning != "" {
		r.Reading.Warning = about
	}
	// The source shares this array.
	r.Reading.Parts = slices.Clone(r.Reading.Parts)
	for i := range r.Reading.Parts {
		part := &r.Reading.Parts[i].Reading
		part.Hint = ""
		if part.Warning != "" || part.Missing {
			part.Warning = about
		}
	}
}

func (q Query) placeholders() string {
	keys := q.FromEnv()
	for i, key := range keys {
		keys[i] = FromEnv(key)
	}
	return strings.Join(keys, ", ")
}
