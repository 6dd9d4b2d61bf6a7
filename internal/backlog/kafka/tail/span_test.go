package tail

import (
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// batchOf returns the bytes of a batch.
func batchOf(first int64, count int32, attributes uint16, producer int64) []byte {
	data := make([]byte, batchHeader)
	binary.BigEndian.PutUint64(data, uint64(first))
	binary.BigEndian.PutUint32(data[batchLength:], batchHeader-batchLength-4)
	data[batchMagic] = 2
	binary.BigEndian.PutUint16(data[batchAttributes:], attributes)
	binary.BigEndian.PutUint32(data[batchLastDelta:], uint32(max(0, count-1)))
	binary.BigEndian.PutUint64(data[batchProducer:], uint64(producer))
	binary.BigEndian.PutUint32(data[batchCount:], uint32(count))
	return data
}

func TestHoldsNothing(t *testing.T) {
	t.Parallel()
	const control, data = attributeTransactional | attributeControl, attributeTransactional
	join := func(batches ...[]byte) (all []byte) {
		for _, b := range batches {
			all = append(all, b...)
		}
		return all
	}
	aborted := []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 7, FirstOffset: 4}}
	for name, c := range map[string]struct {
		batches []byte
		aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
		from    int64
		to      int64
		want    bool
	}{
		"a marker":                      {batchOf(3, 1, control, 7), nil, 3, 4, true},
		"the batch before and a marker": {join(batchOf(0, 3, data, 7), batchOf(3, 1, control, 7)), nil, 3, 4, true},
		"a message":                     {batchOf(3, 1, data, 7), nil, 3, 4, false},
		"a message after a marker":      {join(batchOf(3, 1, control, 7), batchOf(4, 1, 0, -1)), nil, 3, 5, false},
		"an aborted transaction":        {join(batchOf(4, 2, data, 7), batchOf(6, 1, control, 7)), aborted, 4, 7, true},
		"another one of its producer":   {join(batchOf(4, 2, data, 7), batchOf(6, 1, control, 7), batchOf(7, 1, data, 7)), aborted, 4, 8, false},
		"another producer":              {join(batchOf(4, 1, data, 8), batchOf(5, 1, control, 7)), aborted, 4, 6, false},
		"an answer that ends before":    {batchOf(3, 1, control, 7), nil, 3, 6, false},
		"an answer that is cut":         {batchOf(3, 1, control, 7)[:batchHeader-1], nil, 3, 4, false},
		"a batch that is emptied":       {batchOf(3, 0, data, 7), nil, 3, 4, true},
		"nothing":                       {nil, nil, 3, 4, false},
	} {
		p := &kmsg.FetchResponseTopicPartition{RecordBatches: c.batches, AbortedTransactions: c.aborted}
		if got := holdsNothing(p, Span{From: c.from, To: c.to}); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

// FuzzHoldsNothing: no bytes of a broker make it panic or loop.
func FuzzHoldsNothing(f *testing.F) {
	f.Add(batchOf(3, 1, attributeControl, 7), int64(3), int64(9))
	f.Add([]byte("HTTP/1.1 200 OK"), int64(0), int64(1))
	f.Fuzz(func(_ *testing.T, data []byte, from, to int64) {
		holdsNothing(&kmsg.FetchResponseTopicPartition{RecordBatches: data}, Span{From: from, To: to})
	})
}
