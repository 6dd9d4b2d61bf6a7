package server

import (
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
	// maxMessage bounds a request, in bytes. A ScaledObject's metadata is a few
	// hundred; etcd holds at most 1.5 MiB of the whole object.
	maxMessage = 1 << 20
	// maxHeaders bounds the headers of a call, in bytes. KEDA sends some hundred.
	maxHeaders = 64 << 10
	// maxStreams bounds the concurrent calls of one connection. KEDA's operator holds
	// all streams of all ScaledObjects on one connection, two for each.
	maxStreams = 200_000
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
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec(s.triggers)),
		grpc.UnaryInterceptor(around.unary),
		grpc.StreamInterceptor(around.stream),
		grpc.UnknownServiceHandler(unimplemented),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: pingAfter, Timeout: pingTimeout,
			// A connection outlives its streams, so that they end by themselves, with EOF,
			// and not with the connection.
			MaxConnectionAge:      2 * s.options.StreamLifetime,
			MaxConnectionAgeGrace: s.options.StreamLifetime * 3 / 2,
		}),
	}
	if creds != nil {
		options = append(options, grpc.Creds(creds))
	}
	g := grpc.NewServer(options...)
	pb.RegisterExternalScalerServer(g, s)
	healthpb.RegisterHealthServer(g, health)
	reflection.Register(g)
	around.learn(g)
	registerer.MustRegister(around)
	return g
}
