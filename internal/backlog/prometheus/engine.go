// Package prometheus reads numbers that Prometheus, or a server with its API, computes from
// metrics.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// layoutQuery is the name of the only layout.
const layoutQuery = "query"

// namespaceLabel is the name of the setting that limits queries to a namespace.
const namespaceLabel = "namespaceLabel"

// maxQuery is the length of a query in bytes. It is sent in a URL. Proxies accept URLs of 8 KiB as
// a rule, and escaping may double the length.
const maxQuery = 4096

// Engine returns the engine "prometheus".
func Engine() backlog.Engine {
	return backlog.Engine{
		Name:    "prometheus",
		Summary: "Prometheus, and servers with its API: Thanos, Mimir, Cortex, VictoriaMetrics.",
		Settings: append(httpapi.Settings(), backlog.Parameter{
			Name: namespaceLabel, Kind: backlog.KindText,
			Doc: "Label that limits each query to the namespace of its trigger, such as `namespace`: every selector of the query gets it. Set it where namespaces that share the connection must not read each other's metrics.",
		}),
		Layouts: []backlog.Layout{{
			Name:         layoutQuery,
			Summary:      "A number that PromQL computes. The query must yield one sample or a scalar. Without a series the number is unknown, which is an error and not 0; append `or vector(0)` where no series means 0.",
			Queue:        "query in PromQL, at most 4096 bytes",
			Ready:        "the sample or scalar, as it is at the time of the query; NaN and infinity are errors",
			Measures:     true,
			PerNamespace: func(s backlog.Settings) bool { return s.Text(namespaceLabel) != "" },
			Check:        checkQuery,
			CheckOn:      checkNamespace,
		}},
		Check: check,
		Open:  open,
	}
}

// labelName is a label that PromQL takes without quotation marks:
// https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// check reports settings that are wrong or exclude each other.
func check(s backlog.Settings) error {
	err := httpapi.CheckSettings(s)
	if label := s.Text(namespaceLabel); label != "" && !labelName.MatchString(label) {
		err = errors.Join(err, errors.New(namespaceLabel+": want a label name of letters, digits and underscores, such as \"namespace\""))
	}
	return err
}

func checkQuery(q backlog.Query) error {
	if len(q.Queue) > maxQuery {
		return fmt.Errorf("%s: has %d bytes, want at most %d; a recording rule makes it shorter", layoutQuery, len(q.Queue), maxQuery)
	}
	return nil
}

// checkNamespace reports a query that cannot be limited to the namespace of its trigger, or that
// selects another one.
func checkNamespace(s backlog.Settings, q backlog.Query) error {
	label := s.Text(namespaceLabel)
	if label == "" {
		return nil
	}
	if _, err := enforce(q.Queue, label, q.Namespace); err != nil {
		return fmt.Errorf("%s: %w", layoutQuery, err)
	}
	return nil
}

// open returns a source for a connection.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	if err := check(c.Settings); err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	client, err := httpapi.New(c, log) //nolint:contextcheck // a request has the context of its read
	if err != nil {
		return nil, err
	}
	r := &reader{client: client, label: c.Settings.Text(namespaceLabel)}
	return source{httpapi.NewSource(ctx, client, r.server, r.read).WithProbe(r.probe), client}, nil
}
