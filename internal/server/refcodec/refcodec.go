// Package refcodec decodes KEDA's requests. KEDA sends the whole metadata of a trigger with
// every call, and decoding it is most of the cost of a call. A request about a reference
// that the server already holds shares that one: its encoding is compared, not decoded.
package refcodec

import (
	"hash/maphash"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// A Store holds references by their Hash.
type Store interface {
	// Reference returns the reference with a hash, and the name of the metric that GetMetrics
	// was last called with for it; nil if there is none.
	Reference(hash uint64) (ref *pb.ScaledObjectRef, metricName string)
}

// A Codec is gRPC's protobuf codec, except for requests about references of a Store. A request
// that differs in anything is decoded as usual.
type Codec struct {
	encoding.CodecV2

	seed  maphash.Seed
	store Store
}

// New returns a Codec for a store whose hashes have the seed.
func New(seed maphash.Seed, store Store) Codec {
	return Codec{CodecV2: encoding.GetCodecV2(proto.Name), seed: seed, store: store}
}

// Unmarshal decodes a message. A message about a held reference shares its metadata, which must
// not change.
func (c Codec) Unmarshal(data mem.BufferSlice, message any) error {
	if len(data) == 1 && c.share(data[0].ReadOnlyData(), message) {
		return nil
	}
	return c.CodecV2.Unmarshal(data, message)
}

// share fills in a message about a held reference. Otherwise it leaves the message unchanged.
func (c Codec) share(encoded []byte, message any) bool {
	switch message := message.(type) {
	case *pb.ScaledObjectRef:
		ref, _ := c.find(encoded)
		if ref == nil {
			return false
		}
		message.Name, message.Namespace, message.ScalerMetadata = ref.Name, ref.Namespace, ref.ScalerMetadata
		return true
	case *pb.GetMetricsRequest:
		encodedRef, name, ok := splitGetMetrics(encoded)
		if !ok {
			return false
		}
		ref, metricName := c.find(encodedRef)
		if ref == nil || metricName != string(name) {
			return false
		}
		message.ScaledObjectRef, message.MetricName = ref, metricName
		return true
	default:
		return false
	}
}

// find returns the held reference that an encoded one equals, or nil.
func (c Codec) find(encoded []byte) (ref *pb.ScaledObjectRef, metricName string) {
	hash, ok := hashEncoded(c.seed, encoded)
	if !ok {
		return nil, ""
	}
	ref, metricName = c.store.Reference(hash)
	if ref == nil || !equal(ref, encoded) {
		return nil, ""
	}
	return ref, metricName
}

// equal reports whether an encoded reference with the hash of ref equals it. A repeated key has
// another hash, so it is enough to count the pairs.
func equal(ref *pb.ScaledObjectRef, encoded []byte) bool {
	pairs := 0
	name, namespace, same := eachPair(encoded, func(key, value []byte) bool {
		pairs++
		known, ok := ref.GetScalerMetadata()[string(key)]
		return ok && known == string(value)
	})
	return same && pairs == len(ref.GetScalerMetadata()) && ref.GetName() == string(name) && ref.GetNamespace() == string(namespace)
}

// Hash returns the hash of a reference. It does not depend on the order of the metadata.
func Hash(seed maphash.Seed, ref *pb.ScaledObjectRef) uint64 {
	sum := hashNames(maphash.String(seed, ref.GetNamespace()), maphash.String(seed, ref.GetName()))
	for key, value := range ref.GetScalerMetadata() {
		sum += hashPair(maphash.String(seed, key), maphash.String(seed, value))
	}
	return sum
}

// hashEncoded returns the Hash of an encoded reference; false if it cannot be known without
// decoding.
func hashEncoded(seed maphash.Seed, encoded []byte) (sum uint64, ok bool) {
	name, namespace, ok := eachPair(encoded, func(key, value []byte) bool {
		sum += hashPair(maphash.Bytes(seed, key), maphash.Bytes(seed, value))
		return true
	})
	return sum + hashNames(maphash.Bytes(seed, namespace), maphash.Bytes(seed, name)), ok
}

func hashNames(namespace, name uint64) uint64 { return namespace + 3*name }

func hashPair(key, value uint64) uint64 {
	pair := key*31 + value
	return pair * (pair | 1)
}
