package server

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// The services of grpc.health.v1. The empty one and ExternalScaler are equal to readiness.
const (
	ServiceLiveness  = "liveness"
	ServiceReadiness = "readiness"
)

// healthPoll is the time between two checks of a watched service.
const healthPoll = time.Second

// Health answers probes, over gRPC and HTTP. A broker that is down concerns its triggers and not
// the process: it fails neither probe.
type Health struct {
	healthpb.UnimplementedHealthServer

	// stuck returns an error if the process makes no progress.
	stuck func() error
	state atomic.Int32
	// watches is the number of open watches.
	watches atomic.Int32
	// over is closed by Close and ends all watches.
	over chan struct{}
}

// The states of a process.
const (
	stateStarting = iota
	stateServing
	stateDraining
)

// NewHealth returns the Health of a process that is starting. stuck returns an
// error if the process makes no progress.
func NewHealth(stuck func() error) *Health {
	return &Health{stuck: stuck, over: make(chan struct{})}
}

// Serving makes the process ready.
func (h *Health) Serving() { h.state.CompareAndSwap(stateStarting, stateServing) }

// Draining makes the process unready for good and ends all watches.
func (h *Health) Draining() {
	if h.state.Swap(stateDraining) != stateDraining {
		close(h.over)
	}
}

// Live returns nil if the process makes progress.
func (h *Health) Live() error { return h.stuck() }

// Ready returns nil if the process accepts calls.
func (h *Health) Ready() error {
	switch h.state.Load() {
	case stateStarting:
		return errors.New("starting")
	case stateDraining:
		return errors.New("draining")
	}
	return h.stuck()
}

// Check answers one probe.
func (h *Health) Check(_ context.Context, request *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	now := h.status(request.GetService())
	if now == healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Errorf(codes.NotFound, "unknown service %q", request.GetService())
	}
	return &healthpb.HealthCheckResponse{Status: now}, nil
}

// List answers for all services.
func (h *Health) List(context.Context, *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	statuses := map[string]*healthpb.HealthCheckResponse{}
	for _, service := range []string{"", pb.ExternalScaler_ServiceDesc.ServiceName, ServiceLiveness, ServiceReadiness} {
		statuses[service] = &healthpb.HealthCheckResponse{Status: h.status(service)}
	}
	return &healthpb.HealthListResponse{Statuses: statuses}, nil
}

// maxHealthWatches bounds the open watches. Kubernetes does not watch, and other clients open
// one for each connection.
const maxHealthWatches = 100

// Watch sends the state of a service and each change of it, until the process drains.
func (h *Health) Watch(request *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	defer h.watches.Add(-1)
	if h.watches.Add(1) > maxHealthWatches {
		return status.Errorf(codes.ResourceExhausted, "%d clients already watch the health, which is the maximum; Check has no limit", maxHealthWatches)
	}
	ticker := time.NewTicker(healthPoll)
	defer ticker.Stop()
	sent := healthpb.HealthCheckResponse_UNKNOWN
	for {
		if now := h.status(request.GetService()); now != sent {
			sent = now
			if err := stream.Send(&healthpb.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-h.over:
			if sent != healthpb.HealthCheckResponse_NOT_SERVING {
				return stream.Send(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_NOT_SERVING})
			}
			return nil
		case <-stream.Context().Done():
			return toStatus(stream.Context().Err())
		}
	}
}

func (h *Health) status(service string) healthpb.HealthCheckResponse_ServingStatus {
	var err error
	switch service {
	case ServiceLiveness:
		err = h.Live()
	case "", pb.ExternalScaler_ServiceDesc.ServiceName, ServiceReadiness:
		err = h.Ready()
	default:
		return healthpb.HealthCheckResponse_SERVICE_UNKNOWN
	}
	if err != nil {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}
