package server

import (
	"net"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/backlog-scaler/backlog-scaler/internal/server/connlimit"
	"github.com/backlog-scaler/backlog-scaler/internal/server/refcodec"
)

// The bounds of a connection.
const (
	// maxMessage bounds a request, in bytes. A ScaledObject's metadata is a few hundred,
	// and a trigger takes 64 KiB of it.
	maxMessage = 128 << 10
	// maxHeaders bounds the headers of a request, in bytes. KEDA's are about a hundred.
	maxHeaders = 8 << 10
	// connWindow is the flow control window of a connection, in bytes. KEDA opens all its
	// streams at once when the scaler comes back. With gRPC's 64 KiB it would send the headers
	// of thousands and then wait with their messages, and reach the limits of half-open
	// requests. With 64 MiB at most 63 requests of 50,000 triggers were half-open at the same
	// time, with 16 MiB 15,283.
	connWindow = 64 << 20
	// handshakeTimeout bounds the time until a client speaks HTTP/2.
	handshakeTimeout = 10 * time.Second
	// maxIdle is how long a connection without a stream stays open. A client of gRPC opens
	// another one when it needs it.
	maxIdle = 5 * time.Minute
	// pingAfter and pingTimeout detect a dead client. KEDA itself sends no keepalive.
	pingAfter   = 30 * time.Second
	pingTimeout = 10 * time.Second
	// minPing is the least time between two pings of a client.
	minPing = 5 * time.Second
)

// NewGRPC returns a gRPC server for KEDA, probes and reflection. Without creds it speaks plain
// text. It registers its metrics with registerer.
func NewGRPC(s *Server, health *Health, creds credentials.TransportCredentials, registerer prometheus.Registerer) *grpc.Server {
	i := newInterceptors(s.errorLog, s.options.Logger)
	options := append(s.guards(creds), i.options()...)
	g := grpc.NewServer(append(options, grpc.ForceServerCodecV2(refcodec.New(s.triggers.seed, s.triggers)), grpc.MaxRecvMsgSize(maxMessage))...)
	pb.RegisterExternalScalerServer(g, s)
	healthpb.RegisterHealthServer(g, health)
	reflection.Register(g)
	i.metrics.preregister(g)
	registerer.MustRegister(i.metrics)
	return g
}

// guards returns the options of the gRPC server that bound what its clients hold open. Without
// creds it speaks plain text.
func (s *Server) guards(creds credentials.TransportCredentials) []grpc.ServerOption {
	alive := keepalive.ServerParameters{
		Time: pingAfter, Timeout: pingTimeout, MaxConnectionIdle: maxIdle,
		// A connection outlives its streams, so that they end with EOF and not with the
		// connection.
		MaxConnectionAge: 2 * s.options.StreamLifetime, MaxConnectionAgeGrace: s.options.StreamLifetime * 3 / 2,
	}
	return []grpc.ServerOption{
		grpc.Creds(connlimit.NewHalfOpen(creds, s.rejections.WithLabelValues(PortGRPC+"_requests"))),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.InitialConnWindowSize(connWindow),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(uint32(s.options.MaxStreamsPerConnection)), //nolint:gosec // positive: a flag that is checked
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(alive),
	}
}

// The ports of the scaler, as labels of metrics.
const (
	PortGRPC  = "grpc"
	PortHTTP  = "http"
	PortAdmin = "admin"
)

// The number of connections to the ports for monitoring and operators. A browser holds up to six
// to the admin port for each program that forwards it, and half of them may come from one address.
const (
	maxHTTPConnections  = 100
	maxAdminConnections = 96
)

// NewPort returns the listener with the connection limits of a port.
func (s *Server) NewPort(port string, listener net.Listener) *connlimit.Port {
	most := map[string]int{PortGRPC: s.options.MaxConnections, PortHTTP: maxHTTPConnections, PortAdmin: maxAdminConnections}[port]
	return connlimit.NewPort(listener, most, s.rejections.WithLabelValues(port+"_connections"), s.connections.WithLabelValues(port))
}
