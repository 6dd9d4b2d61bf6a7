package httpapi

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// maxErrorText is how many bytes of a server's description of an error are kept.
const maxErrorText = 300

// judge returns the Response for an answer, or the error that its status or form is.
func (c *Client) judge(answer *http.Response, body []byte, r Request) (Response, error) {
	response := Response{Status: answer.StatusCode, Body: body}
	if r.ErrorText != nil && answer.StatusCode >= http.StatusBadRequest {
		response.ErrorText = shorten(c.login.redact(r.ErrorText(body)))
	}
	switch status := answer.StatusCode; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return Response{}, backlog.WithAdvice(response.Error(backlog.ErrDenied), c.loginAdvice(status))
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return Response{}, response.Error(backlog.ErrUnavailable)
	case status >= http.StatusMultipleChoices && status < http.StatusBadRequest:
		return Response{}, redirected(answer)
	case status < http.StatusOK:
		return Response{}, response.Error(backlog.ErrMismatch)
	case c.base.Scheme == "http" && status == http.StatusBadRequest && wantsTLS(body):
		return Response{}, backlog.WithAdvice(fmt.Errorf("%w: %w", backlog.ErrUnavailable, errSpeaksTLS), foreignAdvice(errSpeaksTLS))
	case !r.AllowsPage && status < http.StatusMultipleChoices && isPage(answer.Header.Get("Content-Type"), body):
		return Response{}, backlog.WithAdvice(fmt.Errorf("%w: the server answers with a page (HTML), not with JSON", backlog.ErrMismatch),
			"url: the address and path of the API; this is a login or a user interface")
	}
	return response, nil
}

// Error returns an answer as an error that wraps reason, with its status and with the server's
// own description.
func (r Response) Error(reason error) error {
	text := "the server answers " + statusText(r.Status)
	if r.ErrorText != "" {
		text += ": " + strconv.Quote(r.ErrorText)
	}
	return fmt.Errorf("%w: %s", reason, text)
}

// statusText returns a status with its name, such as "404 Not Found".
func statusText(status int) string {
	if name := http.StatusText(status); name != "" {
		return strconv.Itoa(status) + " " + name
	}
	return strconv.Itoa(status)
}

// shorten returns a text of a server as one line of at most maxErrorText bytes.
func shorten(text string) string {
	if len(text) > maxErrorText {
		text = text[:maxErrorText] + "..."
	}
	return backlog.Line(text)
}

// loginAdvice returns what to change where the server refuses the credentials.
func (c *Client) loginAdvice(status int) string {
	switch {
	case status == http.StatusProxyAuthRequired:
		return "url: the server itself; a proxy answers"
	case status == http.StatusForbidden && !c.login.isEmpty():
		return "the rights of the user or token on the server"
	case c.login.isEmpty():
		return "username and password, or token: the server requires them"
	default:
		return "username and password, or token: the server does not know them"
	}
}

// redirected returns the error for a redirect. It names the host, because the rest of the address
// may hold a secret.
func redirected(answer *http.Response) error {
	err := fmt.Errorf("%w: the server answers %s", backlog.ErrMismatch, statusText(answer.StatusCode))
	target, problem := url.Parse(answer.Header.Get("Location"))
	if problem == nil && target.Host != "" {
		err = fmt.Errorf("%w to %s", err, shorten(target.Scheme+"://"+target.Host))
	}
	return backlog.WithAdvice(err, "url: the address that answers without a redirect; a redirect to a login also means that credentials are missing")
}

// wantsTLS reports whether a body is that of a server that got HTTP where it expects TLS, as Go's
// and nginx write it.
func wantsTLS(body []byte) bool {
	return bytes.Contains(body, []byte("sent an HTTP request to an HTTPS server")) ||
		bytes.Contains(body, []byte("HTTP request was sent to HTTPS port"))
}

// isPage reports whether an answer is a page for a browser.
func isPage(contentType string, body []byte) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	body = bytes.TrimSpace(body)
	return err == nil && kind == "text/html" || bytes.HasPrefix(body, []byte("<"))
}
