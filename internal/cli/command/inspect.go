package command

import (
	"context"
	"io"

	"google.golang.org/protobuf/proto"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
)

// The output formats for programs.
const (
	asJSON = "json"
	asYAML = "yaml"
)

// An Explainer is a running scaler, or all replicas of one.
type Explainer interface {
	Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error)
	ExplainPolicy(ctx context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error)
}

// Explain prints the decisions for a ScaledObject: as text, or as output says.
func Explain(ctx context.Context, scaler Explainer, request *pb.ExplainRequest, output string, stdout io.Writer) error {
	response, err := scaler.Explain(ctx, request)
	if err != nil {
		return err
	}
	return write(stdout, output, response, explain.Text)
}

// ExplainPolicy prints the decision of a policy: as text, or as output says.
func ExplainPolicy(ctx context.Context, scaler Explainer, request *pb.ExplainPolicyRequest, output string, stdout io.Writer) error {
	response, err := scaler.ExplainPolicy(ctx, request)
	if err != nil {
		return err
	}
	return write(stdout, output, response, explain.PolicyText)
}

// write writes a response in a format.
func write[M proto.Message](stdout io.Writer, output string, response M, text func(io.Writer, M) error) error {
	switch output {
	case asJSON:
		return explain.JSON(stdout, response)
	case asYAML:
		return explain.YAML(stdout, response)
	default:
		return text(stdout, response)
	}
}
