package trace

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// maxLine is the length of a line in bytes: a line may have thousands of service times.
const maxLine = 1 << 20

// maxBytes bounds a trace without compression, in bytes, so that a small file does not unpack to
// more than the machine has.
const maxBytes = 1 << 30

// Read reads a trace in either format, also one that gzip has compressed. The error has the line,
// what is wrong with it and what is allowed.
func Read(r io.Reader) (*Trace, error) {
	buffered := bufio.NewReader(r)
	head, _ := buffered.Peek(2)
	if bytes.Equal(head, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("unpack the trace: %w", err)
		}
		buffered = bufio.NewReader(unpacked)
	}
	limited := &io.LimitedReader{R: buffered, N: maxBytes}
	buffered = bufio.NewReader(limited)
	read := readCSV
	if first, _ := buffered.Peek(1); len(first) == 1 && first[0] == '{' {
		read = readLines
	}
	t := &Trace{}
	err := read(buffered, t)
	if limited.N <= 0 {
		return nil, fmt.Errorf("read the trace: more than %d bytes", maxBytes)
	}
	if err := cmp.Or(err, t.complete()); err != nil {
		return nil, fmt.Errorf("read the trace: %w", err)
	}
	return t, nil
}

// lines calls yield for each line that is neither empty nor a comment, with its number.
func lines(r io.Reader, yield func(number int, line []byte) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLine)
	number := 0
	for scanner.Scan() {
		number++
		line := bytes.TrimSpace(scanner.Bytes())
		if number > MaxLines {
			return fmt.Errorf("more than %d lines", MaxLines)
		}
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := yield(number, line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("line %d: more than %d bytes", number+1, maxLine)
	} else if err != nil {
		return fmt.Errorf("after line %d: %w", number, err)
	}
	return nil
}
