package measure

import (
	"context"
	"errors"
	"fmt"
	"sync"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// openers is how many streams are opened at a time.
const openers = 64

// streams are both of KEDA's streams of many ScaledObjects, on one connection as KEDA has it.
type streams struct {
	connection *grpc.ClientConn
	cancel     context.CancelFunc
	receiving  sync.WaitGroup
}

// hold opens the streams at the address of a scaler, and returns when each has its first message. Close must be called.
func hold(ctx context.Context, address string, refs []*pb.ScaledObjectRef) (*streams, error) {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to the scaler: %w", err)
	}
	// The streams outlive the group that opens them.
	ctx, cancel := context.WithCancel(ctx)
	s := &streams{connection: connection, cancel: cancel}
	client := pb.NewExternalScalerClient(connection)
	var opening errgroup.Group
	opening.SetLimit(openers)
	for _, ref := range refs {
		opening.Go(func() error {
			specs, err := client.StreamMetricSpec(ctx, ref)
			if err != nil {
				return fmt.Errorf("open StreamMetricSpec of %s: %w", ref.GetName(), err)
			}
			active, err := client.StreamIsActive(ctx, ref)
			if err != nil {
				return fmt.Errorf("open StreamIsActive of %s: %w", ref.GetName(), err)
			}
			return errors.Join(receive(s, specs), receive(s, active))
		})
	}
	if err := opening.Wait(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// receive returns after the first message of a stream, and has the others received until the stream ends.
func receive[M any](s *streams, stream grpc.ServerStreamingClient[M]) error {
	if _, err := stream.Recv(); err != nil {
		return fmt.Errorf("receive the first message: %w", err)
	}
	s.receiving.Go(func() {
		for {
			if _, err := stream.Recv(); err != nil {
				return
			}
		}
	})
	return nil
}

// Close ends the streams and waits for them.
func (s *streams) Close() error {
	s.cancel()
	err := s.connection.Close()
	s.receiving.Wait()
	if err != nil {
		return fmt.Errorf("close the connection to the scaler: %w", err)
	}
	return nil
}
