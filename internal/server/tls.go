package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TLSFiles are the files of a server's certificate, in PEM.
type TLSFiles struct {
	Cert, Key string
	// ClientCA makes the server require a client certificate that one of these authorities
	// signed; empty requires none.
	ClientCA string
}

// tlsRecheck is the largest age of the last check of the files when a client connects.
const tlsRecheck = time.Second

// A certificate is a TLS configuration that follows its files.
type certificate struct {
	files  TLSFiles
	logger *slog.Logger

	// mu guards what follows. Local files are read under it, so that many handshakes at once
	// read them once.
	mu      sync.Mutex
	content [3][]byte
	config  *tls.Config
	checked time.Time
	fault   string
}

// NewTLS returns credentials that follow the files: new connections get a new certificate, and
// invalid files leave the old one in force. logger logs reloads and errors.
func NewTLS(files TLSFiles, logger *slog.Logger) (credentials.TransportCredentials, error) {
	c := &certificate{files: files, logger: logger}
	if err := c.load(); err != nil {
		return nil, err
	}
	return credentials.NewTLS(&tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil },
	}), nil
}

// current returns the configuration in force, after a check of the files.
func (c *certificate) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < tlsRecheck {
		return c.config
	}
	err := c.load()
	switch {
	case err == nil:
		c.fault = ""
	case err.Error() != c.fault:
		c.fault = err.Error()
		c.logger.Error("new certificate invalid, old one stays in force", "error", err)
	}
	return c.config
}

// load reads the files and, if they changed, replaces the configuration.
func (c *certificate) load() error {
	c.checked = time.Now()
	var content [3][]byte
	for i, name := range []string{c.files.Cert, c.files.Key, c.files.ClientCA} {
		if name == "" {
			continue
		}
		data, err := os.ReadFile(name) //nolint:gosec // the operator names the files
		if err != nil {
			return fmt.Errorf("read TLS file: %w", err)
		}
		if content[i], err = backlog.UTF8(data); err != nil {
			return fmt.Errorf("read TLS file: %s %w", name, err)
		}
	}
	if c.config != nil && bytes.Equal(content[0], c.content[0]) && bytes.Equal(content[1], c.content[1]) && bytes.Equal(content[2], c.content[2]) {
		return nil
	}
	pair, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return fmt.Errorf("use certificate %q with key %q: %w", c.files.Cert, c.files.Key, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{pair}}
	if c.files.ClientCA != "" {
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(content[2]) {
			return fmt.Errorf("use client authorities %q: %w", c.files.ClientCA, errors.New("no certificate in it"))
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if c.config != nil {
		c.logger.Info("certificate reloaded", "file", c.files.Cert)
	}
	c.content, c.config = content, config
	return nil
}
