package command

import (
	"context"
	"io"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/cli"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
)

// asJSON is the output format for programs.
const asJSON = "json"

// An Explainer is a running scaler, or all replicas of one.
type Explainer interface {
	Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error)
	ExplainPolicy(ctx context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error)
}

// A Watcher is a running scaler, or all replicas of one.
type Watcher interface {
	Watch(ctx context.Context, request *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error
}

// Explain prints the decisions for a ScaledObject as text, or as JSON if output says so.
func Explain(ctx context.Context, scaler Explainer, request *pb.ExplainRequest, output string, stdout io.Writer) error {
	response, err := scaler.Explain(ctx, request)
	if err != nil {
		return err
	}
	if output == asJSON {
		return explain.JSON(stdout, response)
	}
	return explain.Text(stdout, response)
}

// ExplainPolicy prints the decision of a policy as text, or as JSON if output says so.
func ExplainPolicy(ctx context.Context, scaler Explainer, request *pb.ExplainPolicyRequest, output string, stdout io.Writer) error {
	response, err := scaler.ExplainPolicy(ctx, request)
	if err != nil {
		return err
	}
	if output == asJSON {
		return explain.JSON(stdout, response)
	}
	return explain.PolicyText(stdout, response)
}

// Watch shows the triggers of a namespace, or of all if it is empty, until ctx ends: as a table if
// stdout is a terminal, else a line for each change.
func Watch(ctx context.Context, scaler Watcher, namespace, output string, stdout io.Writer) error {
	show := func(r *pb.WatchDecisionsResponse) error { return explain.Lines(stdout, r) }
	if output == asJSON {
		show = func(r *pb.WatchDecisionsResponse) error { return explain.JSONLines(stdout, r) }
	} else if size := cli.TerminalSize(stdout); size != nil {
		screen := explain.NewScreen(stdout, size)
		defer screen.Close()
		show = screen.Show
	}
	return scaler.Watch(ctx, &pb.WatchDecisionsRequest{Namespace: namespace}, show)
}
