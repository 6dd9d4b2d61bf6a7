package inspector

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An UnknownError is a ScaledObject or trigger that the scaler does not know; the
// text names the ones that may be meant.
type UnknownError string

func (e UnknownError) Error() string { return string(e) }

// What else can go wrong for a Client.
var (
	// ErrUnreachable is an address at which no scaler answers.
	ErrUnreachable = errors.New("no scaler answers")
	// ErrOther is an address at which something else answers, such as the scaler's
	// port for KEDA.
	ErrOther = errors.New("not the admin address of a scaler")
)

// Advice is what to do about an error of a Client; empty if its text says it all.
func Advice(err error) string {
	switch {
	case errors.Is(err, ErrUnreachable):
		return "To reach one in a cluster:\n  kubectl --namespace backlog-scaler port-forward deployment/backlog-scaler 9091\n" +
			"or ask where it runs:\n  kubectl --namespace backlog-scaler exec deployment/backlog-scaler -- /scaler ..."
	case errors.Is(err, ErrOther):
		return "The port for KEDA is another one: see --admin-address of the scaler, or \"admin\" in its first log line."
	default:
		return ""
	}
}

// A Client asks the Inspector of a scaler.
type Client struct {
	address string
	conn    *grpc.ClientConn
	service pb.InspectorServiceClient
}

// maxReply bounds an answer, in bytes. It is far more than 10,000 triggers take.
const maxReply = 64 << 20

// NewClient returns a Client of the scaler whose admin address this is. It connects
// when it is asked something.
func NewClient(address string) (*Client, error) {
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)))
	if err != nil {
		return nil, fmt.Errorf("use the address %q: %w", address, err)
	}
	return &Client{address: address, conn: conn, service: pb.NewInspectorServiceClient(conn)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Explain tells all about the triggers of a ScaledObject.
func (c *Client) Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	response, err := c.service.Explain(ctx, request)
	present(response)
	return response, c.plain(err)
}

// Watch calls show for each message of a WatchDecisions until ctx ends, which is no
// error, or show or the scaler returns one.
func (c *Client) Watch(ctx context.Context, request *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error {
	stream, err := c.service.WatchDecisions(ctx, request)
	if err != nil {
		return c.plain(err)
	}
	for {
		response, err := stream.Recv()
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // whoever ended the watch knows
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w at %s any more", ErrUnreachable, c.address)
		case err != nil:
			return c.plain(err)
		}
		present(response)
		if err := show(response); err != nil {
			return err
		}
	}
}

// plain turns a status into an error for people.
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
		return fmt.Errorf("ask the scaler at %s: %s", c.address, text)
	}
}
