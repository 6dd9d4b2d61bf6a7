package backlog

import (
	"bytes"
	"errors"
)

// errUTF16 is a file of a Windows editor or shell.
var errUTF16 = errors.New("is in UTF-16, want UTF-8")

// UTF8 returns the text of a file that was written by hand, without a byte order mark. The
// error is a text in UTF-16, which starts with a mark or has zero bytes.
func UTF8(data []byte) ([]byte, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}), bytes.IndexByte(data, 0) >= 0:
		return nil, errUTF16
	default:
		return data, nil
	}
}
