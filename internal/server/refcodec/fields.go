package refcodec

import "google.golang.org/protobuf/encoding/protowire"

// The numbers of fields in KEDA's messages:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/externalscaler/externalscaler.proto
const (
	refName, refNamespace, refMetadata = 1, 2, 3
	pairKey, pairValue                 = 1, 2
	getMetricsRef, getMetricsName      = 1, 2
)

// splitGetMetrics returns the encoded fields of a GetMetricsRequest; false unless it has each
// of them once.
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
// returns the name and the namespace; false if there is any other field, or do returns false.
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

// eachField calls do for each field of a message that has only strings and messages. It
// returns false for any other message, and if do returns false.
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
