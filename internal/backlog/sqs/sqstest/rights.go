package sqstest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A Key is an access key.
type Key struct{ ID, Secret string }

// User makes a user of IAM who may do the actions, and returns an access key of it.
func (s *Server) User(t testing.TB, name string, actions ...string) Key {
	t.Helper()
	s.iam(t, url.Values{"Action": {"CreateUser"}, "UserName": {name}})
	if len(actions) > 0 {
		s.iam(t, url.Values{"Action": {"PutUserPolicy"}, "UserName": {name}, "PolicyName": {"rights"}, "PolicyDocument": {allow(t, actions)}})
	}
	answer := s.iam(t, url.Values{"Action": {"CreateAccessKey"}, "UserName": {name}})
	return Key{ID: element(t, answer, "AccessKeyId"), Secret: element(t, answer, "SecretAccessKey")}
}

// Renew replaces the access key of a user by another one, which it returns.
func (s *Server) Renew(t testing.TB, name string, old Key) Key {
	t.Helper()
	s.Authenticate(t, false)
	s.iam(t, url.Values{"Action": {"DeleteAccessKey"}, "UserName": {name}, "AccessKeyId": {old.ID}})
	answer := s.iam(t, url.Values{"Action": {"CreateAccessKey"}, "UserName": {name}})
	s.Authenticate(t, true)
	return Key{ID: element(t, answer, "AccessKeyId"), Secret: element(t, answer, "SecretAccessKey")}
}

// Role makes a role that may do the actions, and returns its ARN.
func (s *Server) Role(t testing.TB, name string, actions ...string) string {
	t.Helper()
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
	answer := s.iam(t, url.Values{"Action": {"CreateRole"}, "RoleName": {name}, "AssumeRolePolicyDocument": {trust}})
	if len(actions) > 0 {
		s.iam(t, url.Values{"Action": {"PutRolePolicy"}, "RoleName": {name}, "PolicyName": {"rights"}, "PolicyDocument": {allow(t, actions)}})
	}
	return element(t, answer, "Arn")
}

// Revoke takes all rights of a user.
func (s *Server) Revoke(t testing.TB, name string) {
	t.Helper()
	s.Authenticate(t, false)
	s.iam(t, url.Values{"Action": {"DeleteUserPolicy"}, "UserName": {name}, "PolicyName": {"rights"}})
	s.Authenticate(t, true)
}

// Grant gives a user the right to do actions.
func (s *Server) Grant(t testing.TB, name string, actions ...string) {
	t.Helper()
	s.Authenticate(t, false)
	s.iam(t, url.Values{"Action": {"PutUserPolicy"}, "UserName": {name}, "PolicyName": {"rights"}, "PolicyDocument": {allow(t, actions)}})
	s.Authenticate(t, true)
}

// Authenticate lets the server verify users and rights from now on, or believe anybody.
func (s *Server) Authenticate(t testing.TB, on bool) {
	t.Helper()
	unverified := "1e9"
	if on {
		unverified = "0"
	}
	s.post(t, "/moto-api/reset-auth", "text/plain", unverified, "")
}

// allow returns a policy that allows actions on everything.
func allow(t testing.TB, actions []string) string {
	t.Helper()
	document, err := json.Marshal(map[string]any{
		"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(document)
}

// iam sends an action of IAM, which the server believes of anybody.
func (s *Server) iam(t testing.TB, form url.Values) string {
	t.Helper()
	form.Set("Version", "2010-05-08")
	signature := fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0", AccessKeyID)
	return s.post(t, "/", "application/x-www-form-urlencoded", form.Encode(), signature)
}

func (s *Server) post(t testing.TB, path, contentType, body, authorization string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer, err := newWebClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %d %s %v", path, answer.StatusCode, text, err)
	}
	return string(text)
}

// element returns the text of an XML element.
func element(t testing.TB, answer, name string) string {
	t.Helper()
	found := regexp.MustCompile("<" + name + ">([^<]*)</" + name + ">").FindStringSubmatch(answer)
	if found == nil {
		t.Fatalf("the answer has no %s: %s", name, answer)
	}
	return found[1]
}
