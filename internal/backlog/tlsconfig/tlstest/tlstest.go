// Package tlstest makes the certificates with which servers and clients of tests speak TLS.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Certificates are those of a server that speaks TLS, and of a client of it. All are PEM.
type Certificates struct {
	// CA, Cert and Key are what a client needs, as the settings tlsCAFile, tlsCertFile and tlsKeyFile
	// have it, and Client is the same as a configuration.
	CA, Cert, Key backlog.File
	Client        *tls.Config
	// ServerCert and ServerKey are the paths of the server's files, and Server is that of one with both.
	ServerCert, ServerKey, Server string
}

// New is Make for one test.
func New(t testing.TB, dir, user string) *Certificates {
	t.Helper()
	c, err := Make(dir, user)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Make makes an authority, and certificates for a server on 127.0.0.1 and for a client that is the user
// of that name. The files are in dir.
func Make(dir, user string) (*Certificates, error) {
	authority, err := issue("test authority", nil)
	if err != nil {
		return nil, err
	}
	server, err := issue("server", authority)
	if err != nil {
		return nil, err
	}
	client, err := issue(user, authority)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority.cert)
	c := &Certificates{Client: &tls.Config{
		MinVersion:   tls.VersionTLS12,
		RootCAs:      pool,
		ServerName:   "127.0.0.1",
		Certificates: []tls.Certificate{{Certificate: [][]byte{client.cert.Raw}, PrivateKey: client.key}},
	}}
	var serverCert, serverKey, both backlog.File
	for _, file := range []struct {
		to   *backlog.File
		name string
		data []byte
	}{
		{&c.CA, "ca.pem", authority.certPEM()},
		{&c.Cert, "client.pem", client.certPEM()},
		{&c.Key, "client.key", client.keyPEM()},
		{&serverCert, "server.pem", server.certPEM()},
		{&serverKey, "server.key", server.keyPEM()},
		{&both, "server-both.pem", append(server.keyPEM(), server.certPEM()...)},
	} {
		*file.to = backlog.File{Path: filepath.Join(dir, file.name), Data: file.data}
		if err := os.WriteFile(file.to.Path, file.data, 0o600); err != nil {
			return nil, fmt.Errorf("write a certificate: %w", err)
		}
	}
	c.ServerCert, c.ServerKey, c.Server = serverCert.Path, serverKey.Path, both.Path
	return c, nil
}

// An identity is a certificate with its key.
type identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// encoded is the key as PKCS 8, the only form that Kafka reads.
	encoded []byte
}

// issue returns an identity that is signed by an authority, or by itself if that is nil.
func issue(name string, authority *identity) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a certificate of %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, fmt.Errorf("make a certificate of %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:     []string{"localhost"},
	}
	if authority == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
		authority = &identity{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.cert, &key.PublicKey, authority.key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate of %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a certificate of %s: %w", name, err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key of %s: %w", name, err)
	}
	return &identity{cert: cert, key: key, encoded: encoded}, nil
}

func (i *identity) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})
}

func (i *identity) keyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: i.encoded})
}
