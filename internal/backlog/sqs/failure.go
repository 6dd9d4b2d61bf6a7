package sqs

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// maxErrorText is how many bytes of a description by the service are kept.
const maxErrorText = 300

// statusOf returns the status of an answer; zero if none came.
func statusOf(err error) int {
	if answer, is := errors.AsType[*smithyhttp.ResponseError](err); is && answer.Response != nil && answer.Response.Response != nil {
		return answer.HTTPStatusCode()
	}
	return 0
}

// isMissing reports whether the service says that a queue does not exist.
func isMissing(err error) bool {
	_, is := errors.AsType[*types.QueueDoesNotExist](err)
	return is || strings.HasSuffix(codeOf(err), "NonExistentQueue")
}

// codeOf returns the code of an error of the service; empty if it is none.
func codeOf(err error) string {
	if api, is := errors.AsType[smithy.APIError](err); is {
		return api.ErrorCode()
	}
	return ""
}

// The beginnings of codes that say who is not known, or may not do what:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html.
func deniedCodes() []string {
	return []string{
		"AccessDenied", "NotAuthorized", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "IncompleteSignature",
		"UnrecognizedClient", "ExpiredToken", "RequestExpired", "MissingAuthenticationToken", "InvalidSecurity", "AuthFailure", "AuthMissingFailure", "OptInRequired", "KmsAccessDenied", "InvalidToken",
	}
}

// isAccessDenied reports whether a code says that the user is known and lacks a right.
func isAccessDenied(code string) bool {
	return strings.HasPrefix(code, "AccessDenied") || strings.HasPrefix(code, "NotAuthorized")
}

// throttledCodes are the beginnings of codes that say to try again later.
func throttledCodes() []string {
	return []string{"Throttl", "RequestThrottl", "TooManyRequests", "OverLimit", "SlowDown", "ServiceUnavailable", "InternalFailure", "InternalError"}
}

// failed returns an error with the one of backlog's errors that it is.
func failed(err error) error {
	code := codeOf(err)
	begins := func(all []string) bool {
		for _, one := range all {
			if strings.HasPrefix(code, one) {
				return true
			}
		}
		return false
	}
	status := statusOf(err)
	switch {
	case errors.Is(err, backlog.ErrPanic):
		return fmt.Errorf("%w: %w", backlog.ErrUnavailable, err)
	case isTooLong(err):
		return fmt.Errorf("%w: the answer has more than %d bytes", backlog.ErrMismatch, maxBody)
	case isWithoutCredentials(err):
		return newCredentialsError(err)
	case begins(deniedCodes()):
		return &serviceError{kind: backlog.ErrDenied, err: err}
	case begins(throttledCodes()):
		return &serviceError{kind: backlog.ErrUnavailable, err: err}
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
		return &serviceError{kind: backlog.ErrUnavailable, err: err}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return &serviceError{kind: backlog.ErrDenied, err: err}
	case status != 0:
		return &serviceError{kind: backlog.ErrMismatch, err: err}
	default:
		return fmt.Errorf("%w: %w", backlog.ErrUnavailable, plain(err))
	}
}

// isOutage reports whether an error concerns the connection, and not one queue.
func isOutage(err error) bool {
	if _, is := errors.AsType[*credentialsError](err); is {
		return true
	}
	service, is := errors.AsType[*serviceError](err)
	return errors.Is(err, backlog.ErrUnavailable) && (!is || codeOf(service.err) == "")
}

// plain returns the cause of a failed call, without the words of the library around it.
func plain(err error) error {
	if send, is := errors.AsType[*smithyhttp.RequestSendError](err); is {
		return send.Err
	}
	if operation, is := errors.AsType[*smithy.OperationError](err); is {
		return operation.Err
	}
	return err
}

// A serviceError is an answer that is an error.
type serviceError struct{ kind, err error }

func (e *serviceError) Error() string {
	text := "the service answers no SQS"
	if status := statusOf(e.err); status != http.StatusOK {
		text = fmt.Sprintf("the service answers with the status %d", status)
	}
	if api, is := errors.AsType[smithy.APIError](e.err); is {
		text = "the service answers " + backlog.Line(shorten(api.ErrorCode()))
		if message := api.ErrorMessage(); message != "" {
			text += fmt.Sprintf(": %q", backlog.Line(shorten(backlog.Redact(message))))
		}
	}
	return fmt.Sprintf("%v: %s", e.kind, text)
}

// Is reports whether the error is of a kind.
func (e *serviceError) Is(target error) bool { return target == e.kind }

// Unwrap returns what the library says.
func (e *serviceError) Unwrap() error { return e.err }

// A credentialsError is that there are no credentials, or that they cannot be had.
type credentialsError struct{ kind, err error }

// newCredentialsError returns the error of a call that was not made. It is an outage where what gives out the
// credentials cannot be reached.
func newCredentialsError(err error) *credentialsError {
	if codeOf(err) == "" && (network.IsTimeout(err) || network.IsDialFailure(err) || network.IsHangUp(err)) {
		return &credentialsError{backlog.ErrUnavailable, err}
	}
	return &credentialsError{backlog.ErrDenied, err}
}

func (e *credentialsError) Error() string {
	if api, is := errors.AsType[smithy.APIError](e.err); is {
		return fmt.Sprintf("%v: no credentials: %s: %q", e.kind, backlog.Line(shorten(api.ErrorCode())), backlog.Line(shorten(backlog.Redact(api.ErrorMessage()))))
	}
	return fmt.Sprintf("%v: there are no credentials", e.kind)
}

// Is reports whether the error is of a kind.
func (e *credentialsError) Is(target error) bool { return target == e.kind }

// Unwrap returns what the library says.
func (e *credentialsError) Unwrap() error { return e.err }

// isWithoutCredentials reports whether a call was not made because there are no credentials. The library has no
// type for it.
func isWithoutCredentials(err error) bool {
	operation, is := errors.AsType[*smithy.OperationError](err)
	return is && (strings.Contains(operation.Err.Error(), "get identity:") || operation.Operation() == "AssumeRole")
}

func shorten(text string) string {
	if len(text) > maxErrorText {
		return strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return text
}

// advice returns what to change so that err goes away; empty if that is not known. worked reports that the
// service has answered before.
func advice(err error, worked bool) string {
	code := codeOf(err)
	_, without := errors.AsType[*credentialsError](err)
	switch {
	case without && !worked:
		return "accessKeyID and secretAccessKey, or a role of the scaler's service account; with roleARN, the trust of the role"
	case isAccessDenied(code):
		return "the rights of the user: sqs:GetQueueAttributes and sqs:GetQueueUrl on the queue"
	case strings.HasPrefix(code, "ExpiredToken"), strings.HasPrefix(code, "RequestExpired"):
		return "sessionToken: it has expired; or the clock of this machine"
	case errors.Is(err, backlog.ErrDenied) && code == "":
		return "the rights of the user, sqs:GetQueueAttributes and sqs:GetQueueUrl on the queue; or accessKeyID and secretAccessKey"
	case errors.Is(err, backlog.ErrDenied):
		return "accessKeyID and secretAccessKey: the service does not know them"
	case worked:
		return ""
	default:
		return network.Endpoint{Setting: settingEndpoint, HangUp: "is it a proxy, or no SQS?"}.Advice(err)
	}
}
