package conn

import "errors"

// ErrClosed is the use of a connection after its owner has closed it for good.
var ErrClosed = errors.New("the source is closed")

// What a connection has met that is not what its settings say. Each is known from what the
// other end has sent, never guessed.
var (
	ErrIsSentinel    = errors.New("the server is a sentinel")
	ErrNoSentinel    = errors.New("the server is no sentinel")
	ErrIsClusterNode = errors.New("the server is a node of a cluster")
	ErrSpeaksTLS     = errors.New("the server speaks TLS")
	ErrSpeaksPlainly = errors.New("the server does not speak TLS")
	ErrSpeaksHTTP    = errors.New("an HTTP server answers, not Redis")
)
