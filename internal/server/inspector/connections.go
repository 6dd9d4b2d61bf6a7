package inspector

import (
	"context"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// ListConnections returns the connections of the configuration.
func (i *Inspector) ListConnections(context.Context, *pb.ListConnectionsRequest) (*pb.ListConnectionsResponse, error) {
	response := &pb.ListConnectionsResponse{At: timestamppb.New(time.Now())}
	if err := i.fault(); err != nil {
		response.ConfigurationError = err.Error()
	}
	states := i.connections.Connections()
	for n := range states {
		response.Connections = append(response.Connections, connectionMessage(&states[n]))
	}
	present(response)
	return response, nil
}

func connectionMessage(c *backlog.ConnectionState) *pb.Connection {
	message := &pb.Connection{
		Name: c.Name, Engine: c.Engine, Namespaces: slices.Clone(c.Namespaces),
		Server: c.Status.Server, WakeUpMode: c.Status.WakeUp, FallbackReason: c.Status.WakeUpReason,
		Queues: queueCount(c.Queues), Failing: queueCount(c.Failing), FailingSince: moment(c.FailingSince), LastContactAt: moment(c.LastContact),
	}
	if c.Err != nil {
		message.Error = c.Err.Error()
	}
	if !c.LastContact.IsZero() {
		message.LastContactSeconds = new(c.Took.Seconds())
	}
	for _, risk := range c.Status.Risks {
		message.Risks = append(message.Risks, &pb.Risk{Kind: string(risk.Kind), Message: risk.Text, Latent: risk.Latent})
	}
	return message
}

// queueCount returns a number of queues in a message.
func queueCount(n int) int32 { return int32(min(n, math.MaxInt32)) } //nolint:gosec // bounded
