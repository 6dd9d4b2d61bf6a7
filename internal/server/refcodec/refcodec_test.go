package refcodec_test

import (
	"hash/maphash"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/server/refcodec"
)

// A store has references by their hash. GetMetrics was called with the name "known" for each.
type store map[uint64]*pb.ScaledObjectRef

func (s store) Reference(hash uint64) (ref *pb.ScaledObjectRef, metricName string) {
	return s[hash], "known"
}

// known returns a codec with a store of refs.
func known(refs ...*pb.ScaledObjectRef) refcodec.Codec {
	seed, all := maphash.MakeSeed(), store{}
	for _, ref := range refs {
		all[refcodec.Hash(seed, ref)] = ref
	}
	return refcodec.New(seed, all)
}

func encoded(t interface{ Fatal(args ...any) }, message proto.Message) []byte {
	b, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// compare decodes a message by the codec and by gRPC's own, into messages of this kind. Both
// results must be equal.
func compare(t interface {
	Helper()
	Errorf(format string, args ...any)
}, c refcodec.Codec, message []byte, kind proto.Message,
) {
	t.Helper()
	want, got := kind.ProtoReflect().New().Interface(), kind.ProtoReflect().New().Interface()
	data := mem.BufferSlice{mem.SliceBuffer(message)}
	wantErr, gotErr := c.CodecV2.Unmarshal(data, want), c.Unmarshal(data, got)
	if (wantErr == nil) != (gotErr == nil) {
		t.Errorf("error %v, want %v", gotErr, wantErr)
	} else if diff := cmp.Diff(want, got, protocmp.Transform()); wantErr == nil && diff != "" {
		t.Errorf("%q as %T (-want +got):\n%s", message, kind, diff)
	}
}

// TestCodecDecodesAsTheUsualOne compares the codec with the ordinary decoding. It draws few
// texts, so that many references are alike.
func TestCodecDecodesAsTheUsualOne(t *testing.T) {
	t.Parallel()
	text := rapid.SampledFrom([]string{"", "a", "b", "list", "orders"})
	reference := rapid.Custom(func(t *rapid.T) *pb.ScaledObjectRef {
		return &pb.ScaledObjectRef{
			Name: text.Draw(t, "name"), Namespace: text.Draw(t, "namespace"),
			ScalerMetadata: rapid.MapOfN(text, text, 0, 3).Draw(t, "metadata"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		refs := rapid.SliceOfN(reference, 1, 4).Draw(t, "refs")
		c := known(refs[1:]...)
		for _, ref := range refs {
			compare(t, c, encoded(t, ref), ref)
			request := &pb.GetMetricsRequest{ScaledObjectRef: ref, MetricName: rapid.SampledFrom([]string{"", "known", "other"}).Draw(t, "metric")}
			compare(t, c, encoded(t, request), request)
		}
	})
}

// FuzzCodec decodes anything, with a trigger known that the seeds are about.
func FuzzCodec(f *testing.F) {
	ref := &pb.ScaledObjectRef{Name: "worker", Namespace: "shop", ScalerMetadata: map[string]string{"list": "orders", "target": "5"}}
	c := known(ref)
	whole := encoded(f, ref)
	f.Add(whole)
	f.Add(encoded(f, &pb.GetMetricsRequest{ScaledObjectRef: ref, MetricName: "known"}))
	f.Add(encoded(f, &pb.GetMetricsRequest{MetricName: "known"}))
	f.Add(append(whole, whole...)) // each field twice: the last one counts
	f.Add(append(whole, 0x1a, 0))  // a pair without key and value
	f.Add(append(whole, 0x20, 1))  // a field of a later version
	f.Add(whole[:len(whole)-1])
	f.Fuzz(func(t *testing.T, message []byte) {
		compare(t, c, message, &pb.ScaledObjectRef{})
		compare(t, c, message, &pb.GetMetricsRequest{})
	})
}

// TestKnownReferencesAreShared: decoding a known reference allocates nothing.
func TestKnownReferencesAreShared(t *testing.T) {
	ref := &pb.ScaledObjectRef{Name: "worker", Namespace: "shop", ScalerMetadata: map[string]string{"list": "orders", "target": "5", "connection": "main"}}
	c := known(ref)
	for name, tc := range map[string]struct{ sent, into proto.Message }{
		"IsActive":   {ref, &pb.ScaledObjectRef{}},
		"GetMetrics": {&pb.GetMetricsRequest{ScaledObjectRef: ref, MetricName: "known"}, &pb.GetMetricsRequest{}},
	} {
		data := mem.BufferSlice{mem.SliceBuffer(encoded(t, tc.sent))}
		if n := testing.AllocsPerRun(100, func() {
			if err := c.Unmarshal(data, tc.into); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s allocates %v objects", name, n)
		}
		if diff := cmp.Diff(tc.sent, tc.into, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
