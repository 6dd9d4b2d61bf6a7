package inspector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An UnknownError is a ScaledObject, trigger or policy that the scaler does not know. Its text
// suggests similar names.
type UnknownError string

func (e UnknownError) Error() string { return string(e) }

// Other errors of a Client.
var (
	// ErrUnreachable is an address at which no scaler answers.
	ErrUnreachable = errors.New("no scaler answers")
	// ErrOther is an address at which another service answers, such as the scaler's port for
	// KEDA.
	ErrOther = errors.New("not the admin address of a scaler")
)

// Advice returns what to do about an error of a Client; empty if its text is enough.
func Advice(err error) string {
	switch {
	case errors.Is(err, ErrUnreachable):
		return "To reach one in a cluster:\n  kubectl --namespace backlog-scaler port-forward deployment/backlog-scaler 9091\n" +
			"or run it in the pod:\n  kubectl --namespace backlog-scaler exec deployment/backlog-scaler -- /scaler ..."
	case errors.Is(err, ErrOther):
		return "This may be the port for KEDA. See --admin-address of the scaler, or \"admin\" in its first log line."
	default:
		return ""
	}
}

// A Client calls the Inspector of a scaler.
type Client struct {
	address string
	conn    *grpc.ClientConn
	service pb.InspectorServiceClient
	// silence is how long a watch waits for a message.
	silence time.Duration
}

// maxSilence is ten times the time after which a scaler sends a message without a change.
const maxSilence = 20 * time.Second

// errSilent is why a watch of a scaler that sends nothing ends.
var errSilent = errors.New("silent")

// maxReply bounds a reply, in bytes. It is far more than 10,000 triggers take.
const maxReply = 64 << 20

// NewClient returns a Client for the admin address of a scaler. It connects at its first call.
func NewClient(address string) (*Client, error) { return newClient(address, address) }

// NewClientOver returns a Client for a scaler that dial reaches, such as one in a pod. The name is for errors.
func NewClientOver(name string, dial func(ctx context.Context) (net.Conn, error)) (*Client, error) {
	// The scaler takes calls to itself by this name, whatever the way to it is.
	return newClient(name, "localhost", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }))
}

func newClient(name, target string, options ...grpc.DialOption) (*Client, error) {
	conn, err := grpc.NewClient("passthrough:///"+target, append(options,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)))...)
	if err != nil {
		return nil, fmt.Errorf("use the address %q: %w", name, err)
	}
	return &Client{address: name, conn: conn, service: pb.NewInspectorServiceClient(conn), silence: maxSilence}, nil
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// ListTriggers returns the triggers of a namespace, or of all if it is empty.
func (c *Client) ListTriggers(ctx context.Context, request *pb.ListTriggersRequest) (*pb.ListTriggersResponse, error) {
	response, err := c.service.ListTriggers(ctx, request)
	present(response)
	return response, c.plain(err)
}

// Explain returns everything that is known about the triggers of a ScaledObject.
func (c *Client) Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	response, err := c.service.Explain(ctx, request)
	present(response)
	return response, c.plain(err)
}

// ExplainPolicy returns everything that is known about an AutoscalerPolicy.
func (c *Client) ExplainPolicy(ctx context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error) {
	response, err := c.service.ExplainPolicy(ctx, request)
	present(response)
	return response, c.plain(err)
}

// ListConnections returns the connections of the configuration and how they work.
func (c *Client) ListConnections(ctx context.Context) (*pb.ListConnectionsResponse, error) {
	response, err := c.service.ListConnections(ctx, &pb.ListConnectionsRequest{})
	present(response)
	return response, c.plain(err)
}

// Watch calls show for each message of WatchDecisions until ctx ends, which is no error, or
// until show or the scaler returns an error. A scaler that is silent for 20 s counts as unreachable:
// one that runs sends a message every two seconds.
func (c *Client) Watch(ctx context.Context, request *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error {
	watching, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(c.silence, func() { cancel(errSilent) })
	defer silence.Stop()
	stream, err := c.service.WatchDecisions(watching, request)
	for err == nil {
		var response *pb.WatchDecisionsResponse
		if response, err = stream.Recv(); err != nil {
			break
		}
		silence.Stop() // show takes its time, such as while a pager is read
		present(response)
		if err := show(response); err != nil {
			return err
		}
		silence.Reset(c.silence)
	}
	switch {
	case ctx.Err() != nil:
		return nil // the caller ended the watch
	case errors.Is(context.Cause(watching), errSilent):
		return fmt.Errorf("%w at %s: nothing came for %s", ErrUnreachable, c.address, c.silence)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w at %s: the watch ended", ErrUnreachable, c.address)
	default:
		return c.plain(err)
	}
}

// plain turns a status into an error without gRPC codes.
func (c *Client) plain(err error) error {
	s := status.Convert(err)
	text := backlog.Line(s.Message())
	switch s.Code() {
	case codes.OK:
		return nil
	case codes.NotFound:
		return UnknownError(text)
	case codes.Unavailable, codes.DeadlineExceeded:
		return fmt.Errorf("%w at %s: %s", ErrUnreachable, c.address, text)
	case codes.Unimplemented:
		return fmt.Errorf("%s is %w: %s", c.address, ErrOther, text)
	default:
		return fmt.Errorf("call the scaler at %s: %s", c.address, text)
	}
}
