package conn

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestReplyGuard: what a server may send passes, however it is cut into pieces, and what
// would make the client library allocate without end does not.
func TestReplyGuard(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, bytes string
		hostile     bool
	}{
		{"a status", "+OK\r\n", false},
		{"an error", "-ERR no\r\n", false},
		{"a number", ":-9223372036854775808\r\n", false},
		{"a text", "$5\r\nhello\r\n", false},
		{"an empty text", "$0\r\n\r\n", false},
		{"no text", "$-1\r\n", false},
		{"no array", "*-1\r\n", false},
		{"an empty array", "*0\r\n", false},
		{"a text that looks like a header", "$8\r\n*9999999\r\n+OK\r\n", false},
		{"an array of arrays", "*2\r\n*2\r\n:1\r\n$1\r\na\r\n*0\r\n+next\r\n", false},
		{"many replies", strings.Repeat("*1\r\n:1\r\n", maxElements/100), false},
		{"a text of 2^63-1 bytes", "$9223372036854775807\r\n", true},
		{"a text of 1 TiB", "$1099511627776\r\n", true},
		{"an array of 2^63-1 elements", "*9223372036854775807\r\n", true},
		{"an array of 2,000,000,000 elements", "*2000000000\r\n", true},
		{"a length with more digits than a number has", "*" + strings.Repeat("9", 100), true},
		{"a length that is no number", "$five\r\n", true},
		{"an endless line", "+" + strings.Repeat("x", maxLine+1), true},
		{"nested without end", strings.Repeat("*1\r\n", 10_000_000), true},
		{"arrays that announce more than there may be in all", "*1000000\r\n*1000000\r\n", true},
		{"more elements than an array may have, in several", "*4\r\n" + strings.Repeat("*1000000\r\n"+strings.Repeat(":1\r\n", 1_000_000), 2), true},
		{"a map of RESP3", "%1000000000\r\n", true},
		{"a push of RESP3", ">2\r\n", true},
		{"an attribute of RESP3", "|1\r\n", true},
		{"no reply at all", "HTTP/1.1 400 Bad Request\r\n", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 7, 4096} {
				if size == 1 && len(tc.bytes) > 1<<20 {
					continue
				}
				var g replyGuard
				var err error
				for rest := []byte(tc.bytes); len(rest) > 0 && err == nil; rest = rest[min(size, len(rest)):] {
					err = g.check(rest[:min(size, len(rest))])
				}
				if errors.Is(err, ErrHostileReply) != tc.hostile {
					t.Errorf("in pieces of %d: %v", size, err)
				}
			}
		})
	}
}

// TestReplyGuardCountsAnew: the bound is of what is received at once.
func TestReplyGuardCountsAnew(t *testing.T) {
	t.Parallel()
	text := []byte("$" + strconv.Itoa(maxBulk) + "\r\n" + strings.Repeat("x", maxBulk) + "\r\n")
	var g replyGuard
	for range 5 {
		g.reset()
		if err := g.check(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(g.check(text), g.check(text)); !errors.Is(err, ErrHostileReply) {
		t.Errorf("three at once: %v", err)
	}
}

// TestReplyGuardCountsElements: an empty text is six bytes on the wire and more in memory,
// so many small arrays at once are bounded by what they take.
func TestReplyGuardCountsElements(t *testing.T) {
	t.Parallel()
	array := []byte("*1000\r\n" + strings.Repeat("$0\r\n\r\n", 1000))
	var g replyGuard
	var err error
	arrays := 0
	for ; err == nil && arrays < maxReceived; arrays++ {
		err = g.check(array)
	}
	if want := maxReceived / (len(array) + 1000*elementSize); !errors.Is(err, ErrHostileReply) || arrays > want+1 || arrays < want {
		t.Errorf("%v after %d arrays, want about %d", err, arrays, want)
	}
}

// TestReplyGuardOfMessages: a subscription may receive without end, but no large message.
func TestReplyGuardOfMessages(t *testing.T) {
	t.Parallel()
	text := []byte("$" + strconv.Itoa(maxBulk) + "\r\n" + strings.Repeat("x", maxBulk) + "\r\n")
	g := replyGuard{messages: true}
	for range 5 {
		if err := g.check(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.check(append([]byte("*3\r\n"), slices.Concat(text, text, text)...)); !errors.Is(err, ErrHostileReply) {
		t.Errorf("a message of three texts: %v", err)
	}
}

// TestReplyGuardPassesReplies: every reply of the protocol passes, and ends where it ends.
func TestReplyGuardPassesReplies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b bytes.Buffer
		drawReply(t, &b, 0)
		var g replyGuard
		for rest := b.Bytes(); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if err := g.check(rest[:n]); err != nil {
				t.Fatalf("%q: %v", b.String(), err)
			}
			rest = rest[n:]
		}
		if g.kind != 0 || g.skip != 0 || len(g.remaining) != 0 || g.elements != 0 {
			t.Fatalf("%q is taken for a part of a reply: %+v", b.String(), g)
		}
	})
}

func drawReply(t *rapid.T, b *bytes.Buffer, depth int) {
	kinds := 5
	if depth < maxDepth {
		kinds = 6
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		b.WriteString("+" + rapid.StringMatching(`[a-z ]{0,10}`).Draw(t, "status") + "\r\n")
	case 1:
		b.WriteString("-ERR " + rapid.StringMatching(`[a-z$*]{0,10}`).Draw(t, "error") + "\r\n")
	case 2:
		b.WriteString(":" + strconv.FormatInt(rapid.Int64().Draw(t, "number"), 10) + "\r\n")
	case 3:
		text := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "text")
		b.WriteString("$" + strconv.Itoa(len(text)) + "\r\n")
		b.Write(text)
		b.WriteString("\r\n")
	case 4:
		b.WriteString("$-1\r\n")
	default:
		n := rapid.IntRange(0, 3).Draw(t, "elements")
		b.WriteString("*" + strconv.Itoa(n) + "\r\n")
		for range n {
			drawReply(t, b, depth+1)
		}
	}
}

// FuzzReplyGuard: no bytes make it panic, or depend on how they are cut.
func FuzzReplyGuard(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\na\r\n:1\r\n"), 3)
	f.Add([]byte("$9223372036854775807\r\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		var whole, pieces replyGuard
		err := whole.check(data)
		cut = max(0, min(cut, len(data)))
		again := pieces.check(data[:cut])
		if again == nil {
			again = pieces.check(data[cut:])
		}
		if (err == nil) != (again == nil) {
			t.Errorf("whole: %v, cut at %d: %v", err, cut, again)
		}
	})
}
