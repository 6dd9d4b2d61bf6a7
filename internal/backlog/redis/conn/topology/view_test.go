package topology

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A seenNode is a node as another one sees it.
type seenNode struct {
	id       string
	from, to int // -1 without slots
	epoch    int
	flags    string
}

var errTest = errors.New("it does not answer")

// answerOf returns what the node with the id self answers. One that does not allow CLUSTER NODES
// answers CLUSTER SLOTS only.
func answerOf(self string, allowed bool, nodes ...seenNode) answer {
	ranges := make([]any, 0, len(nodes))
	var lines strings.Builder
	for _, n := range nodes {
		flags := "master" + n.flags
		if n.id == self {
			flags = "myself,master"
		}
		fmt.Fprintf(&lines, "%s 10.0.0.%s:1@2 %s - 0 0 %d connected", n.id, n.id, flags, n.epoch)
		if n.from >= 0 {
			fmt.Fprintf(&lines, " %d-%d", n.from, n.to)
			ranges = append(ranges, []any{int64(n.from), int64(n.to), []any{"10.0.0." + n.id, int64(1), n.id}})
		}
		lines.WriteString("\n")
	}
	a := answer{from: "10.0.0." + self + ":1", replies: []resp.Reply{{Value: ranges}, {Value: lines.String()}}}
	if !allowed {
		a.replies[1] = resp.Reply{Err: errRefusedBefore}
	}
	return a
}

// TestClusterViewsCompared: which of several answers about a cluster is believed.
func TestClusterViewsCompared(t *testing.T) {
	t.Parallel()
	one, two, three := seenNode{"1", 0, 5000, 1, ""}, seenNode{"2", 5001, 10000, 2, ""}, seenNode{"3", 10001, 16383, 3, ""}
	down := func(n seenNode, flag string) seenNode { n.flags = "," + flag; return n }
	whole := []shard{{0, 5000, "10.0.0.1:1"}, {5001, 10000, "10.0.0.2:1"}, {10001, 16383, "10.0.0.3:1"}}
	// What node 1 has lost to node 4, which has a newer epoch.
	four := seenNode{"4", 0, 5000, 9, ""}
	replaced := []shard{{0, 5000, "10.0.0.4:1"}, whole[1], whole[2]}
	former := seenNode{"1", -1, -1, 1, ",fail"}
	for name, c := range map[string]struct {
		now     []shard
		answers []answer
		want    []shard
		agreed  bool
		cutOff  bool
	}{
		"all agree":            {answers: []answer{answerOf("1", true, one, two, three), answerOf("2", true, one, two, three)}, want: whole, agreed: true},
		"one of several":       {answers: []answer{answerOf("1", true, one, two, three)}, want: whole},
		"a cluster of one":     {answers: []answer{answerOf("1", true, seenNode{"1", 0, 16383, 0, ""})}, want: []shard{{0, 16383, "10.0.0.1:1"}}},
		"one without slots":    {answers: []answer{answerOf("4", true, seenNode{"4", -1, -1, 0, ""}), answerOf("1", true, one, two, three), answerOf("2", true, one, two, three)}, want: whole, agreed: true},
		"none with slots":      {answers: []answer{answerOf("4", true, seenNode{"4", -1, -1, 0, ""})}},
		"one has joined":       {answers: []answer{answerOf("4", true, seenNode{"4", -1, -1, 0, ""}, one), answerOf("1", true, one, two, three, seenNode{"4", -1, -1, 0, ""}), answerOf("2", true, one, two, three, seenNode{"4", -1, -1, 0, ""})}, want: whole, agreed: true},
		"one is in handshake":  {answers: []answer{answerOf("4", true, four, one), answerOf("1", true, one, two, three, down(seenNode{"4", -1, -1, 0, ""}, "handshake")), answerOf("2", true, one, two, three)}, want: whole},
		"one knows itself":     {answers: []answer{answerOf("1", true, one), answerOf("2", true, four, two, three), answerOf("3", true, four, two, three)}, want: replaced},
		"one was forgotten":    {answers: []answer{answerOf("1", true, one, two, three), answerOf("2", true, four, two, three), answerOf("3", true, four, two, three)}, want: replaced},
		"one is cut off":       {now: whole, answers: []answer{answerOf("1", true, one, down(two, "fail?"), down(three, "fail?")), answerOf("2", true, former, four, two, three)}, want: replaced},
		"all are cut off":      {answers: []answer{answerOf("1", true, one, down(two, "fail?"), down(three, "fail?"))}, cutOff: true},
		"one has not heard":    {now: whole, answers: []answer{answerOf("3", true, one, seenNode{"4", -1, -1, 0, ""}, two, three), answerOf("4", true, seenNode{"1", -1, -1, 1, ""}, four, two, three)}, want: replaced, agreed: true},
		"a slot without owner": {answers: []answer{answerOf("2", true, two, three), answerOf("3", true, two, three)}, want: whole[1:], agreed: true},
		"another cluster":      {answers: []answer{answerOf("4", true, seenNode{"4", 0, 16383, 1000, ""}), answerOf("2", true, one, two, three), answerOf("3", true, one, two, three)}, want: whole},
		"another, of as many":  {now: whole, answers: []answer{answerOf("4", true, seenNode{"4", 0, 16383, 3, ""}), answerOf("2", true, one, two, three)}, want: whole},
		"no rights":            {answers: []answer{answerOf("4", false, four, two, three), answerOf("2", false, one, two, three), answerOf("3", false, one, two, three)}, want: whole, agreed: true},
		"one does not answer":  {answers: []answer{{from: "x", err: errTest}, answerOf("1", true, one, two, three), answerOf("2", true, one, two, three)}, want: whole, agreed: true},
		"none answers":         {answers: []answer{{from: "x", err: errTest}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			best, agreed := mostCredible(c.answers, c.now)
			if best == nil {
				if c.want != nil || agreed || joinErrors(c.answers) == nil {
					t.Errorf("nothing is believed (%t, %v), want %v", agreed, joinErrors(c.answers), c.want)
				}
				return
			}
			if best.cutOff != c.cutOff || agreed != c.agreed {
				t.Errorf("cut off is %t and agreed is %t, want %t and %t", best.cutOff, agreed, c.cutOff, c.agreed)
			}
			if diff := cmp.Diff(c.want, best.shards(), cmp.AllowUnexported(shard{})); diff != "" && !c.cutOff {
				t.Errorf("believed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCheckOwner: what a node has to say of itself so that what is armed on it is confirmed.
func TestCheckOwner(t *testing.T) {
	t.Parallel()
	const others = "b 10.0.0.2:1@2 master - 0 0 2 connected 100-16383\nc 10.0.0.3:1@2,host slave b 0 0 2 connected\n"
	for reply, ok := range map[string]bool{
		"a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-49 50-99\n" + others:                                         true,
		"a :1@2 myself,master - 0 0 1 connected 0-99\n" + others:                                                       true,
		"a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-99 [7->-b]\n" + others:                                       false,
		"a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-99 [700-<-b]\n" + others:                                     false,
		"a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-98\n" + others:                                               false,
		"a 10.0.0.1:1@2 myself,master - 0 0 1 connected\n" + others:                                                    false,
		"a 10.0.0.1:1@2 myself,slave b 0 0 1 connected\n" + others:                                                     false,
		"a 10.0.0.1:1@2 myself,master,fail - 0 0 1 connected 0-99\n" + others:                                          false,
		"a 10.0.0.1:1@2 master - 0 0 1 connected 0-99\n" + others:                                                      false,
		"a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-99\nb 10.0.0.2:1@2 x\n":                                      false,
		"a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-x\n" + others:                                                false,
		"a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-99999\n":                                                     false,
		"a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-99\n" + strings.ReplaceAll(others, "master", "master,fail?"): false,
		"": false,
	} {
		if err := checkOwner(reply, []slotRange{{50, 99}, {0, 49}}); (err == nil) != ok {
			t.Errorf("%q: %v, want owned: %t", reply, err, ok)
		}
	}
}
