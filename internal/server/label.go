package server

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The bounds of the value of a label, in bytes.
const (
	maxLabel = 200
	// labelDigest is the length of the digest of a changed name, in hexadecimal digits, and
	// digestMark precedes it.
	labelDigest = 16
	digestMark  = "~"
)

// label returns a name as the value of a label: a backlog.Line of at most maxLabel bytes.
// Different names have different values: a name that has to be changed ends in a digest of
// the whole, and so does a name that ends like one, or that the metrics use otherwise.
func label(name string) string {
	if len(name) <= maxLabel && backlog.Line(name) == name && !endsInDigest(name) && name != otherQueues {
		return name
	}
	digest := sha256.Sum256([]byte(name))
	end := digestMark + hex.EncodeToString(digest[:])[:labelDigest]
	start := backlog.Line(name)
	if room := maxLabel - len(end); len(start) > room {
		start = strings.ToValidUTF8(start[:room], "")
	}
	return start + end
}

func endsInDigest(name string) bool {
	mark := len(name) - labelDigest - len(digestMark)
	return mark >= 0 && strings.HasPrefix(name[mark:], digestMark) && strings.Trim(name[mark+len(digestMark):], "0123456789abcdef") == ""
}
