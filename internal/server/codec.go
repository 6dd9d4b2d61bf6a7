package server

import (
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// A codec is gRPC's own, but for the triggers that are known already: KEDA sends the
// whole metadata with every call, and what is known is not made anew. A message that
// differs in anything from what is known is decoded as usual.
type codec struct {
	encoding.CodecV2

	triggers *triggers
}

func newCodec(triggers *triggers) codec {
	return codec{CodecV2: encoding.GetCodecV2(proto.Name), triggers: triggers}
}

// Unmarshal decodes a message. Those about a known trigger share its texts and its
// metadata, which nobody may change.
func (c codec) Unmarshal(data mem.BufferSlice, message any) error {
	if len(data) == 1 && c.recognise(data[0].ReadOnlyData(), message) {
		return nil
	}
	return c.CodecV2.Unmarshal(data, message)
}

// recognise fills message if it is about a known trigger. Else it leaves it alone.
func (c codec) recognise(encoded []byte, message any) bool {
	switch message := message.(type) {
	case *pb.ScaledObjectRef:
		live := c.triggers.recognise(encoded)
		if live == nil {
			return false
		}
		message.Name, message.Namespace, message.ScalerMetadata = live.ref.Name, live.ref.Namespace, live.ref.ScalerMetadata
		return true
	case *pb.GetMetricsRequest:
		ref, name, ok := splitGetMetrics(encoded)
		if !ok {
			return false
		}
		live := c.triggers.recognise(ref)
		if live == nil {
			return false
		}
		reply := live.reply.Load()
		if reply == nil || reply.GetMetricValues()[0].GetMetricName() != string(name) {
			return false
		}
		message.ScaledObjectRef, message.MetricName = live.ref, reply.GetMetricValues()[0].GetMetricName()
		return true
	default:
		return false
	}
}

// The numbers of fields in KEDA's messages:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/externalscaler/externalscaler.proto
const (
	refName, refNamespace, refMetadata = 1, 2, 3
	pairKey, pairValue                 = 1, 2
	getMetricsRef, getMetricsName      = 1, 2
)

// splitGetMetrics returns the encoded fields of a GetMetricsRequest that has each of
// them once.
func splitGetMetrics(encoded []byte) (ref, name []byte, ok bool) {
	ok = eachField(encoded, func(number protowire.Number, value []byte) bool {
		switch {
		case number == getMetricsRef && ref == nil:
			ref = value
		case number == getMetricsName && name == nil:
			name = value
		default:
			return false
		}
		return true
	})
	return ref, name, ok && ref != nil
}

// eachPair calls do for each pair of the metadata in an encoded ScaledObjectRef, and
// returns the name and the namespace. It is false if there is anything else, or do is.
func eachPair(encoded []byte, do func(key, value []byte) bool) (name, namespace []byte, ok bool) {
	ok = eachField(encoded, func(number protowire.Number, value []byte) bool {
		switch number {
		case refName:
			name = value
			return true
		case refNamespace:
			namespace = value
			return true
		case refMetadata:
			key, of, ok := splitPair(value)
			return ok && do(key, of)
		default:
			return false
		}
	})
	return name, namespace, ok
}

// splitPair returns the key and the value of an encoded pair.
func splitPair(encoded []byte) (key, value []byte, ok bool) {
	ok = eachField(encoded, func(number protowire.Number, text []byte) bool {
		switch number {
		case pairKey:
			key = text
		case pairValue:
			value = text
		default:
			return false
		}
		return true
	})
	return key, value, ok
}

// eachField calls do for each field of a message that has nothing but texts and
// messages. It is false for any other, and if do is.
func eachField(encoded []byte, do func(number protowire.Number, value []byte) bool) bool {
	for len(encoded) > 0 {
		number, kind, n := protowire.ConsumeTag(encoded)
		if n < 0 || kind != protowire.BytesType {
			return false
		}
		encoded = encoded[n:]
		value, n := protowire.ConsumeBytes(encoded)
		if n < 0 || !do(number, value) {
			return false
		}
		encoded = encoded[n:]
	}
	return true
}
