package inspector

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// A Frame is one message of WatchDecisions, and its encoding if several clients get it.
type Frame struct {
	Message *pb.WatchDecisionsResponse

	// wire is the binary encoding; nil if it was not made yet.
	wire []byte
}

// newFrame returns the message with triggers that changed, which it orders, and removed ones.
func newFrame(at time.Time, changed []*pb.Explanation, removed []*pb.Trigger, complete bool) *Frame {
	slices.SortFunc(changed, func(a, b *pb.Explanation) int {
		x, y := a.GetTrigger(), b.GetTrigger()
		return cmp.Or(cmp.Compare(x.GetNamespace(), y.GetNamespace()), cmp.Compare(x.GetScaledObject(), y.GetScaledObject()), cmp.Compare(x.GetName(), y.GetName()))
	})
	return &Frame{Message: &pb.WatchDecisionsResponse{At: timestamppb.New(at), Changed: changed, Removed: removed, Complete: complete}}
}

// encode makes the binary encoding, for all clients that get the message.
func (f *Frame) encode() {
	// An error is one of each client, when it is encoded for it.
	f.wire, _ = proto.Marshal(f.Message)
}

// A frameCodec encodes the messages of WatchDecisions, which may be encoded already.
type frameCodec struct{ name string }

// The names by which Connect selects a codec.
const (
	codecProto = "proto"
	codecJSON  = "json"
)

// Name implements connect.Codec.
func (c frameCodec) Name() string { return c.name }

// Marshal implements connect.Codec.
func (c frameCodec) Marshal(message any) ([]byte, error) {
	f, isFrame := message.(*Frame)
	if isFrame && c.name == codecProto && f.wire != nil {
		return f.wire, nil
	}
	m, _ := message.(proto.Message)
	if isFrame {
		m = f.Message
	}
	if c.name == codecJSON {
		return protojson.Marshal(m)
	}
	return proto.Marshal(m)
}

// Unmarshal implements connect.Codec. Only requests are decoded.
func (c frameCodec) Unmarshal(data []byte, message any) error {
	m, _ := message.(proto.Message)
	if c.name == codecJSON {
		return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, m)
	}
	return proto.Unmarshal(data, m)
}
