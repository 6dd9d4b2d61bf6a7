package inspector

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

// TestPresent: every text of a message is made fit, however deep it lies and in whatever
// kind of field, and the one that has several lines keeps them.
func TestPresent(t *testing.T) {
	t.Parallel()
	value := 1.5
	message := &pb.ExplainResponse{
		ConfigurationError: "a\x1b\nb\xff",
		Explanations: []*pb.Explanation{
			{
				Trigger:  &pb.Trigger{Queue: "q\n\u202e", Metadata: map[string]string{"k\n": "v\x00", "plain": "p"}},
				Decision: &pb.Decision{Counted: []string{"ready", "x\n"}, Value: 2, Steps: []*pb.Step{{Reason: "r\x07"}}},
				Reading:  &pb.Reading{Parts: []*pb.Part{{Queue: "p\xff", Value: &value}}},
			},
			nil,
		},
	}
	want := &pb.ExplainResponse{
		ConfigurationError: "a\\x1b\nb\\xff",
		Explanations: []*pb.Explanation{
			{
				Trigger:  &pb.Trigger{Queue: `q\n\u202e`, Metadata: map[string]string{`k\n`: `v\x00`, "plain": "p"}},
				Decision: &pb.Decision{Counted: []string{"ready", `x\n`}, Value: 2, Steps: []*pb.Step{{Reason: `r\a`}}},
				Reading:  &pb.Reading{Parts: []*pb.Part{{Queue: `p\xff`, Value: &value}}},
			},
			nil,
		},
	}
	present(message)
	if diff := cmp.Diff(want, message, protocmp.Transform()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	present((*pb.ExplainResponse)(nil))
}

// TestPresentLeavesTheAccountAlone: the metadata of an account is shared, so what is sent
// has a map of its own.
func TestPresentLeavesTheAccountAlone(t *testing.T) {
	t.Parallel()
	account := server.TriggerStatus{Metadata: map[string]string{"k": "v\n"}}
	message := triggerMessage(&account)
	present(message)
	if account.Metadata["k"] != "v\n" || message.GetMetadata()["k"] != `v\n` {
		t.Errorf("account %q, message %q", account.Metadata, message.GetMetadata())
	}
}
