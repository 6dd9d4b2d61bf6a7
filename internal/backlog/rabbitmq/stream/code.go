package stream

import "fmt"

// A Code is the response code of the server:
// https://github.com/rabbitmq/rabbitmq-server/blob/main/deps/rabbitmq_stream/docs/PROTOCOL.adoc#response-codes.
type Code uint16

// The codes that mean something here.
const (
	OK                 Code = 0x01
	StreamDoesNotExist Code = 0x02
	StreamNotAvailable Code = 0x06
	MechanismUnknown   Code = 0x07
	LoginFailed        Code = 0x08
	SaslError          Code = 0x09
	SaslChallenge      Code = 0x0a
	LoopbackOnly       Code = 0x0b
	VhostDenied        Code = 0x0c
	AccessRefused      Code = 0x10
	NoOffset           Code = 0x13
)

// Error implements error.
func (c Code) Error() string {
	switch c {
	case OK:
		return "OK"
	case StreamDoesNotExist:
		return "the stream does not exist"
	case StreamNotAvailable:
		return "the stream is not available"
	case MechanismUnknown:
		return "the server does not offer the mechanism"
	case LoginFailed, SaslError, SaslChallenge:
		return "the server refuses the username or password"
	case LoopbackOnly:
		return "the server allows the user only from localhost"
	case VhostDenied:
		return "the server refuses access to the virtual host"
	case AccessRefused:
		return "access refused"
	case NoOffset:
		return "no offset is stored"
	default:
		return fmt.Sprintf("response code %#x", uint16(c))
	}
}
