package sqs_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs"
)

// TestSettings: what does not go together is refused, with the key and what is wanted, and never a secret.
func TestSettings(t *testing.T) {
	t.Parallel()
	const secret = "very-secret"
	for name, c := range map[string]struct {
		more map[string]any
		want string
	}{
		"none":                {nil, ""},
		"a role":              {map[string]any{"roleARN": "arn:aws:iam::123456789012:role/scaler", "externalID": "x", "stsEndpoint": "https://sts.example"}, ""},
		"no keys":             {map[string]any{"accessKeyID": nil, "secretAccessKey": nil}, ""},
		"another region":      {map[string]any{"region": "Frankfurt"}, "region: want a region"},
		"no secret":           {map[string]any{"secretAccessKey": nil}, "accessKeyID: needs a secretAccessKey"},
		"no id":               {map[string]any{"accessKeyID": nil, "secretAccessKey": backlog.NewSecret(secret)}, "secretAccessKey: needs an accessKeyID"},
		"a token alone":       {map[string]any{"accessKeyID": nil, "secretAccessKey": nil, "sessionToken": backlog.NewSecret(secret)}, "sessionToken: needs an accessKeyID"},
		"no URL":              {map[string]any{"endpoint": "localhost:9324"}, "endpoint: want a URL"},
		"a URL with a user":   {map[string]any{"endpoint": "https://user:" + secret + "@localhost"}, "endpoint: want a URL"},
		"no role":             {map[string]any{"roleARN": "scaler"}, "roleARN: want the ARN of a role"},
		"an ID without role":  {map[string]any{"externalID": "x"}, "externalID: needs a roleARN"},
		"TLS for plain HTTP":  {map[string]any{"tlsServerName": "sqs.example"}, "endpoint: a URL that begins with https://"},
		"TLS for the service": {map[string]any{"endpoint": nil, "tlsServerName": "sqs.example"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := sqs.Engine().Check(settings("http://127.0.0.1:1", c.more).Settings)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestQueries: names that no queue can have are refused when the trigger is parsed.
func TestQueries(t *testing.T) {
	t.Parallel()
	layout, _ := sqs.Engine().Layout("queue")
	for _, c := range []struct {
		queue  string
		params map[string]string
		want   string
	}{
		{"jobs", nil, ""},
		{"jobs.fifo", map[string]string{"messageGroups": "4"}, ""},
		{"jobs", map[string]string{"accountID": "123456789012"}, ""},
		{"arn:aws:sqs:eu-central-1:123456789012:jobs", nil, ""},
		{"https://sqs.eu-central-1.amazonaws.com/123456789012/jobs", nil, ""},
		{"jobs and more", nil, "want a name of 1 to 80"},
		{strings.Repeat("q", 81), nil, "want a name of 1 to 80"},
		{"jobs.standard", nil, "want a name of 1 to 80"},
		{"arn:aws:sns:eu-central-1:123456789012:jobs", nil, "want an ARN"},
		{"arn:aws:sqs:eu-central-1:12:jobs", nil, "want an ARN"},
		{"arn:aws:sqs:us-east-1:123456789012:jobs", nil, `the ARN is of region "us-east-1"`},
		{"https://user@sqs.example/1/jobs", nil, "want a URL"},
		{"file:///etc/passwd", nil, "want a URL"},
		{"https://sqs.example/123456789012/", nil, "want a URL"},
		{"jobs", map[string]string{"accountID": "12"}, "accountID: want 12 digits"},
		{"arn:aws:sqs:eu-central-1:123456789012:jobs", map[string]string{"accountID": "210987654321"}, "accountID: is another account"},
		{"https://sqs.example/123456789012/jobs", map[string]string{"accountID": "123456789012"}, "accountID: the URL has the account"},
		{"jobs", map[string]string{"messageGroups": "4"}, "messageGroups: only a FIFO queue"},
	} {
		q := backlog.Query{Layout: "queue", Queue: c.queue, Params: backlog.NewParams(c.params)}
		err := layout.Check(q)
		if err == nil {
			err = layout.CheckOn(settings("http://127.0.0.1:1", nil).Settings, q)
		}
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s is refused: %v", c.queue, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.queue, err, c.want)
		}
	}
}
