package conn

import (
	"crypto/tls"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// How the servers of a connection are organised.
const (
	ModeStandalone = "standalone"
	ModeSentinel   = "sentinel"
	ModeCluster    = "cluster"
)

// The ways to notice a change, best first. WakeAuto takes the best that the server allows.
const (
	WakeAuto     = "auto"
	WakeTracking = "tracking"
	WakeKeyspace = "keyspace"
	WakePoll     = "poll"
)

// A Config is the settings of the connections to a group of servers. It never changes.
type Config struct {
	// Mode is one of the Mode constants.
	Mode string
	// Addresses are those of the server, of the sentinels, or of some nodes of the cluster.
	Addresses []string
	// MasterName is the name of the master group in sentinel mode.
	MasterName string
	Database   int
	// TLS is nil for connections without TLS.
	TLS        *tls.Config
	ClientName string
	// WakeUp is one of the Wake constants.
	WakeUp string

	Login, SentinelLogin Login

	// IdlePoll is how often an idle queue is read where changes cannot be noticed.
	IdlePoll time.Duration
	// DialTimeout bounds connecting, and AnswerTimeout one answer of a server.
	DialTimeout, AnswerTimeout time.Duration
	// UnsupportedRetry is after how long a way of listening that the server has refused is
	// tried again.
	UnsupportedRetry time.Duration

	// Prober is shared by all connections with these settings.
	Prober *Prober
}

// A Login is the credentials for a server; empty where it asks for none.
type Login struct {
	Username string
	Password backlog.Secret
}
