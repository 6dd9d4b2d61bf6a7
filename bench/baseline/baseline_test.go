package baseline_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"testing"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/backlog-scaler/backlog-scaler/bench/baseline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServe(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	log, said := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- baseline.Serve(ctx, said) }()
	line, err := bufio.NewReader(log).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var grpcAddress, httpAddress string
	if _, err := fmt.Sscanf(line, "serving grpc=%s http=%s\n", &grpcAddress, &httpAddress); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	conn, err := grpc.NewClient(grpcAddress, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	client := pb.NewExternalScalerClient(conn)
	if reply, err := client.IsActive(ctx, &pb.ScaledObjectRef{}); err != nil || !reply.GetResult() {
		t.Errorf("IsActive: %v, %v", reply, err)
	}
	if reply, err := client.GetMetrics(ctx, &pb.GetMetricsRequest{}); err != nil || len(reply.GetMetricValues()) != 1 {
		t.Errorf("GetMetrics: %v, %v", reply, err)
	}
	if reply, err := client.GetMetricSpec(ctx, &pb.ScaledObjectRef{}); err != nil || len(reply.GetMetricSpecs()) != 1 {
		t.Errorf("GetMetricSpec: %v, %v", reply, err)
	}
	active, err := client.StreamIsActive(ctx, &pb.ScaledObjectRef{})
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := active.Recv(); err != nil || !reply.GetResult() {
		t.Errorf("StreamIsActive: %v, %v", reply, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
