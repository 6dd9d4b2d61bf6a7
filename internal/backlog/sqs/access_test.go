package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
)

// rights are those of docs/configuration.md.
func rights() []string { return []string{"sqs:GetQueueAttributes", "sqs:GetQueueUrl"} }

// TestAccess runs against a server that verifies users and rights.
func TestAccess(t *testing.T) {
	t.Parallel()
	server := sqstest.Start(t)
	client := server.NewClient()
	client.Create(t, "mail", nil)
	client.Send(t, "mail", 3, 0)
	enough, none := server.User(t, "enough", rights()...), server.User(t, "none")
	byURL := server.User(t, "by-url", "sqs:GetQueueAttributes")
	assuming := server.User(t, "assuming", "sts:AssumeRole")
	role := server.Role(t, "scaler", rights()...)
	weak := server.Role(t, "weak")
	server.Authenticate(t, true)
	user := func(k sqstest.Key) map[string]any {
		return map[string]any{"accessKeyID": k.ID, "secretAccessKey": backlog.NewSecret(k.Secret)}
	}
	as := func(k sqstest.Key, role string) map[string]any {
		all := user(k)
		all["roleARN"], all["stsEndpoint"] = role, server.URL()
		return all
	}
	for name, c := range map[string]struct {
		settings map[string]any
		queue    string
		reason   error
		advice   string
	}{
		"the documented rights": {user(enough), "mail", nil, ""},
		"a URL needs one right": {user(byURL), client.URL("mail"), nil, ""},
		"a role":                {as(assuming, role), "mail", nil, ""},
		"no right":              {user(none), "mail", backlog.ErrDenied, "sqs:GetQueueAttributes"},
		"a name needs two":      {user(byURL), "mail", backlog.ErrDenied, "sqs:GetQueueUrl"},
		"wrong secret":          {user(sqstest.Key{ID: enough.ID, Secret: "wrong"}), "mail", backlog.ErrDenied, "accessKeyID and secretAccessKey"},
		"unknown key":           {user(sqstest.Key{ID: "AKIAUNKNOWN000000000", Secret: "wrong"}), "mail", backlog.ErrDenied, "accessKeyID and secretAccessKey"},
		"a role without rights": {as(assuming, weak), "mail", backlog.ErrDenied, "sqs:GetQueueAttributes"},
		"may not assume":        {as(enough, role), "mail", backlog.ErrDenied, "the trust of the role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := open(t, server, c.settings)
			r := backlogtest.Read(t, source, query(c.queue))[0]
			if c.reason == nil {
				if r.Err != nil || r.Reading.Ready != 3 {
					t.Errorf("read as %+v, want 3", r)
				}
				return
			}
			_, change := backlog.Advice(r.Err)
			if !errors.Is(r.Err, c.reason) || !strings.Contains(change, c.advice) {
				t.Errorf("%v, want %v with the advice %q", r.Err, c.reason, c.advice)
			}
			if strings.Contains(r.Err.Error(), "wrong") || strings.Contains(r.Err.Error(), enough.Secret) {
				t.Errorf("the error has a secret: %v", r.Err)
			}
		})
	}
}

// TestRightsChange: a right that is taken away is an error, and one that is given back is noticed.
func TestRightsChange(t *testing.T) {
	t.Parallel()
	server := sqstest.Start(t)
	client := server.NewClient()
	client.Create(t, "mail", nil)
	client.Send(t, "mail", 3, 0)
	key := server.User(t, "scaler", rights()...)
	server.Authenticate(t, true)
	source := open(t, server, map[string]any{"accessKeyID": key.ID, "secretAccessKey": backlog.NewSecret(key.Secret)})
	if r := backlogtest.MustRead(t, source, query("mail")); r.Ready != 3 {
		t.Errorf("three messages read as %+v", r)
	}
	server.Revoke(t, "scaler")
	if r := backlogtest.Read(t, source, query("mail"))[0]; !errors.Is(r.Err, backlog.ErrDenied) {
		t.Errorf("without the right: %+v", r)
	}
	server.Grant(t, "scaler", rights()...)
	if r := backlogtest.MustRead(t, source, query("mail")); r.Ready != 3 {
		t.Errorf("with the right again: %+v", r)
	}
}

// TestProbe: the connection is verified without a queue. A user may be known and lack the right to list queues.
func TestProbe(t *testing.T) {
	t.Parallel()
	refuse := func(code string) string {
		return fake(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"__type":"com.amazonaws.sqs#%s","message":"no"}`, code)
		})
	}
	for name, c := range map[string]struct {
		endpoint string
		reason   error
		advice   string
	}{
		"a server":       {one(t).URL(), nil, ""},
		"no right":       {refuse("AccessDeniedException"), nil, ""},
		"an unknown key": {refuse("InvalidClientTokenId"), backlog.ErrDenied, "accessKeyID"},
		"expired":        {refuse("ExpiredTokenException"), backlog.ErrDenied, "sessionToken"},
		"no server":      {"http://127.0.0.1:1", backlog.ErrUnavailable, "endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), sqstest.Patience)
			defer cancel()
			source := backlogtest.Open(t, sqs.Engine(), settings(c.endpoint, nil))
			prober, is := source.(backlog.Prober)
			if !is {
				t.Fatal("the source is no Prober")
			}
			err := prober.Probe(ctx)
			if _, change := backlog.Advice(err); !errors.Is(err, c.reason) || !strings.HasPrefix(change, c.advice) {
				t.Errorf("%v, want %v with the advice %q", err, c.reason, c.advice)
			}
		})
	}
}

// platform has the platform give credentials by these variables, and by no others.
func platform(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	} {
		t.Setenv(name, variables[name])
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// TestPlatform: a platform gives credentials by variables, by a role of the service account (IRSA), or by an agent
// on the node (EKS Pod Identity).
func TestPlatform(t *testing.T) {
	server := sqstest.Start(t)
	client := server.NewClient()
	client.Create(t, "mail", nil)
	client.Send(t, "mail", 3, 0)
	key, role := server.User(t, "scaler", rights()...), server.Role(t, "scaler", rights()...)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("let-me-in\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	agent := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "let-me-in" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"AccessKeyId":%q,"SecretAccessKey":%q,"Token":"","Expiration":%q}`, key.ID, key.Secret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	for name, variables := range map[string]map[string]string{
		"variables":       {"AWS_ACCESS_KEY_ID": key.ID, "AWS_SECRET_ACCESS_KEY": key.Secret},
		"service account": {"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": token},
		"agent":           {"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token},
	} {
		t.Run(name, func(t *testing.T) {
			platform(t, variables)
			// The server would want a signature of a client that has no key yet.
			server.Authenticate(t, name != "service account")
			source := open(t, server, map[string]any{"accessKeyID": nil, "secretAccessKey": nil, "stsEndpoint": server.URL()})
			if r := backlogtest.MustRead(t, source, query("mail")); r.Ready != 3 {
				t.Errorf("three messages read as %+v", r)
			}
		})
	}
	t.Run("an agent elsewhere", func(t *testing.T) {
		platform(t, map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token})
		_, err := sqs.Engine().Open(t.Context(), settings(server.URL(), map[string]any{"accessKeyID": nil, "secretAccessKey": nil}), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "AWS_CONTAINER_CREDENTIALS_FULL_URI: want the URL of an agent on the node") {
			t.Errorf("a token would go elsewhere: %v", err)
		}
	})
}

// TestWithoutCredentials: no key, no role and no platform that gives one is an error that says so.
func TestWithoutCredentials(t *testing.T) {
	platform(t, nil)
	source := backlogtest.Open(t, sqs.Engine(), settings("http://127.0.0.1:1", map[string]any{"accessKeyID": nil, "secretAccessKey": nil, "answerTimeout": time.Minute}))
	r := backlogtest.Read(t, source, query("mail"))[0]
	if _, change := backlog.Advice(r.Err); !errors.Is(r.Err, backlog.ErrDenied) || !strings.Contains(change, "a role of the scaler's service account") {
		t.Errorf("without credentials: %+v", r)
	}
}
