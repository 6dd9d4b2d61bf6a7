package inspector

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// ExplainPolicy returns everything that is known about one AutoscalerPolicy.
func (i *Inspector) ExplainPolicy(ctx context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error) {
	leave, err := i.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if i.policies == nil {
		return nil, status.Error(codes.FailedPrecondition, "it watches no AutoscalerPolicies; it has to be started with --policies")
	}
	now := time.Now()
	key := policies.Key{Namespace: request.GetNamespace(), Name: request.GetName()}
	explained := i.explainPolicy(key, now)
	if explained == nil {
		return nil, status.Error(codes.NotFound, i.unknownPolicy(key))
	}
	response := &pb.ExplainPolicyResponse{At: timestamppb.New(now), Explanation: explained}
	if err := i.fault(); err != nil {
		response.ConfigurationError = err.Error()
	}
	present(response)
	return response, nil
}

// unknownPolicy returns the error text for a policy that does not exist, with similar names.
func (i *Inspector) unknownPolicy(key policies.Key) string {
	keys := i.policies.Keys()
	names := make([]string, len(keys))
	for n, known := range keys {
		names[n] = known.String()
	}
	siblings := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, key.Namespace+"/") })
	text := "this replica knows no AutoscalerPolicy " + key.String()
	switch near := spelling.Nearest(key.String(), names); {
	case len(names) == 0:
		return text + ", nor any other"
	case near != "":
		return fmt.Sprintf("%s, did you mean %s?", text, near)
	case len(siblings) > 0:
		return fmt.Sprintf("%s; known in this namespace: %s", text, list(siblings))
	default:
		return fmt.Sprintf("%s; known: %s", text, list(names))
	}
}
