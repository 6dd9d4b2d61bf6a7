package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestShortList: a topic that a list of all topics leaves out is asked for again, and is never without
// a description while it is read.
func TestShortList(t *testing.T) {
	t.Parallel()
	c := newCatalog(nil)
	c.used["orders"] = time.Now()
	c.topics["orders"] = describe(1, nil)
	if _, err := c.take(kmsg.NewPtrMetadataResponse(), nil); err != nil {
		t.Fatal(err)
	}
	if d := c.topics["orders"]; d == nil || time.Since(d.at) <= staleAfter {
		t.Errorf("the topic that was left out is %+v", d)
	}
}
