// Package dialer connects to one node of RabbitMQ: what AMQP and the stream protocol have in common, and the
// login over AMQP.
package dialer

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// AnswerTimeout is the default of the setting answerTimeout.
const AnswerTimeout = 2 * time.Second

// minHandshake is the least bound of the handshake. It is longer than a server waits before it
// refuses a login, so that a wrong password is recognised.
const minHandshake = 6 * time.Second

// FrameSize is the largest frame of AMQP that the server may send, in bytes. RabbitMQ's own is 128 KiB.
const FrameSize = 128 << 10

// CloseGrace is how long the server may take to answer that the connection is closed.
const CloseGrace = 500 * time.Millisecond

// A Config is how a node is connected to. It is immutable, and all connections of a source share it.
type Config struct {
	// Vhost is the name of the virtual host.
	Vhost string
	// External reports that the client certificate names the user, so that Username and Password are empty.
	External bool
	Username string
	Password backlog.Secret
	// Name is that of the connection that the server shows.
	Name string
	// TLS is nil without TLS.
	TLS *tls.Config
	// Heartbeat is the interval of heartbeats, DialTimeout the bound of connecting to a server, and Answer
	// that of one answer.
	Heartbeat, DialTimeout, Answer time.Duration
}

// Handshake returns the bound of a handshake.
func (c *Config) Handshake() time.Duration { return max(c.Answer, minHandshake) }

// mechanism returns the credentials for AMQP. The library erases them after each login.
func (c *Config) mechanism() amqp.Authentication {
	if c.External {
		return &amqp.ExternalAuth{}
	}
	return &amqp.PlainAuth{Username: c.Username, Password: c.Password.Reveal()}
}

// Connect returns an open connection for AMQP to one address that the server shows by a name. filter
// returns what the library reads and writes. The end of life ends an attempt, but no open connection.
// The caller owns both results. The error is one of backlog's.
func (c *Config) Connect(life context.Context, address, name string, filter func(*Wire) net.Conn) (*amqp.Connection, *Wire, error) {
	dialling, cancel := context.WithTimeout(life, c.DialTimeout)
	defer cancel()
	conn, err := network.Dial(dialling, address, c.TLS)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: connect to %s: %w", backlog.ErrUnavailable, address, err)
	}
	w := NewWire(conn)
	// The library knows no context: only the end of the connection ends its handshake.
	defer context.AfterFunc(life, func() { _ = w.Close() })()
	_ = w.SetDeadline(time.Now().Add(c.Handshake())) // a closed connection fails next
	opened, err := amqp.Open(filter(w), amqp.Config{
		SASL: []amqp.Authentication{c.mechanism()}, Vhost: c.Vhost, Heartbeat: c.Heartbeat,
		FrameSize: FrameSize, Locale: "en_US",
		Properties: amqp.Table{"product": "backlog-scaler", "connection_name": name},
	})
	if err != nil {
		_ = w.Close()
		return nil, nil, handshakeFailure(w, err)
	}
	return opened, w, nil
}

// AtLeast reports whether a version, such as "4.3.6", is the given one or later.
func AtLeast(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	x, err1 := strconv.Atoi(first)
	y, err2 := strconv.Atoi(second)
	return err1 == nil && err2 == nil && (x > major || x == major && y >= minor)
}
