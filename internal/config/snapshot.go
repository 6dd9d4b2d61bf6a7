package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
)

// A snapshot tells what files contained when they were read: the digest of the
// content, or of the reason why it could not be read, by absolute path. Nothing of
// the content can be told from it.
type snapshot map[string][sha256.Size]byte

// file reads a regular file and notes what it contains.
func (s snapshot) file(name string) ([]byte, error) {
	data, err := readFile(name)
	s[name] = digest(data, err)
	return data, err
}

// current tells whether every file still contains what it contained.
func (s snapshot) current() bool {
	for name, before := range s {
		if digest(readFile(name)) != before {
			return false
		}
	}
	return true
}

func digest(data []byte, err error) [sha256.Size]byte {
	if err != nil {
		data = []byte("error: " + err.Error())
	}
	return sha256.Sum256(data)
}

// readFile reads a regular file that is not too large. Links are followed, for
// Kubernetes mounts every file of a ConfigMap or Secret as one.
func readFile(name string) (data []byte, err error) {
	// Opening a pipe would wait for its writer, so look first.
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", name)
	}
	file, err := os.Open(name) //nolint:gosec // the operator names the files of the configuration
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	data, err = io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("read %s: larger than %d bytes", name, maxFileSize)
	}
	return data, nil
}
