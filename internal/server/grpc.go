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
)

// The bounds of a connection.
const (
	// maxMessage bounds a request, in bytes. A ScaledObject's metadata is a few hundred,
	// and a trigger takes 64 KiB of it.
	maxMessage = 128 << 10
	// maxHeaders bounds the headers of a request, in bytes. KEDA's are about a hundred.
	maxHeaders = 8 << 10
	// connWindow is how much a client may send on all streams of a connection before it is
	// read, in bytes. KEDA opens all its streams at once when the scaler comes back: with
	// gRPC's 64 KiB it would send the headers of thousands and then wait with their messages,
	// which is what the limits of half-open requests are against. With so much as this at most
	// 63 requests of 50,000 triggers were half-open at a time; with a quarter of it 15,283.
	connWindow = 64 << 20
	// handshakeTimeout is how long a client may take until it speaks HTTP/2.
	handshakeTimeout = 10 * time.Second
	// maxIdle is after how long a connection without a stream is closed. A client
	// of gRPC opens another one when it needs it.
	maxIdle = 5 * time.Minute
	// pingAfter and pingTimeout find a KEDA that is gone without a word; KEDA itself
	// sends no keepalive.
	pingAfter   = 30 * time.Second
	pingTimeout = 10 * time.Second
	// minPing is how often a client may ping.
	minPing = 5 * time.Second
)

// NewGRPC returns a gRPC server that serves KEDA, probes and reflection. creds
// may be nil: then it speaks plain text. Its metrics go to registerer.
func NewGRPC(s *Server, health *Health, creds credentials.TransportCredentials, registerer prometheus.Registerer) *grpc.Server {
	around := newCalls(s.refusals, s.options.Logger)
	g := grpc.NewServer(append(s.Guards(PortGRPC, creds, s.options.MaxStreamsPerConnection),
		grpc.ForceServerCodecV2(newCodec(s.triggers)),
		grpc.UnaryInterceptor(around.unary),
		grpc.StreamInterceptor(around.stream),
		grpc.UnknownServiceHandler(unimplemented),
		grpc.MaxRecvMsgSize(maxMessage),
	)...)
	pb.RegisterExternalScalerServer(g, s)
	healthpb.RegisterHealthServer(g, health)
	reflection.Register(g)
	around.learn(g)
	registerer.MustRegister(around)
	return g
}

// Guards are the options of a gRPC server on a port that bound what its clients hold open.
// creds may be nil: then it speaks plain text. streams is how many calls of one connection
// may be under way.
func (s *Server) Guards(port string, creds credentials.TransportCredentials, streams int) []grpc.ServerOption {
	alive := keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout, MaxConnectionIdle: maxIdle}
	if port == PortGRPC {
		// A connection outlives its streams, so that they end by themselves, with EOF, and
		// not with the connection.
		alive.MaxConnectionAge, alive.MaxConnectionAgeGrace = 2*s.options.StreamLifetime, s.options.StreamLifetime*3/2
	}
	return []grpc.ServerOption{
		grpc.Creds(newHalfOpen(creds, s.limited.WithLabelValues(port+"_requests"))),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.InitialConnWindowSize(connWindow),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(uint32(streams)), //nolint:gosec // positive: a constant, or a flag that is checked
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(alive),
	}
}

// The ports of the scaler, as metrics name them.
const (
	PortGRPC  = "grpc"
	PortHTTP  = "http"
	PortAdmin = "admin"
)

// The number of connections to those ports that are for monitoring, probes and people.
const (
	maxHTTPConnections  = 100
	maxAdminConnections = 32
)

// NewPort returns the listener as one of the ports, which limits its connections.
func (s *Server) NewPort(port string, listener net.Listener) *Port {
	most := map[string]int{PortGRPC: s.options.MaxConnections, PortHTTP: maxHTTPConnections, PortAdmin: maxAdminConnections}[port]
	return newPort(listener, most, s.limited.WithLabelValues(port+"_connections"), s.connections.WithLabelValues(port))
}
