package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
)

// A snapshot holds, by absolute path, the digest of the content of each file, or of the reason
// why it could not be read. It does not reveal the content.
type snapshot map[string][sha256.Size]byte

// file reads a regular file and records its digest.
func (s snapshot) file(name string) ([]byte, error) {
	data, err := readFile(name)
	s[name] = digest(data, err)
	return data, err
}

// current reports whether every file still has the same digest.
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

// readFile reads a regular file that is not too large. It follows links, because Kubernetes
// mounts every file of a ConfigMap or Secret as one.
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
