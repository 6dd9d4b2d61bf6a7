// Package tlsconfig has the settings of TLS that the connections of all engines share.
package tlsconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The names of the settings.
const (
	switchOn           = "tls"
	caFile             = "tlsCAFile"
	certFile           = "tlsCertFile"
	keyFile            = "tlsKeyFile"
	serverName         = "tlsServerName"
	insecureSkipVerify = "tlsInsecureSkipVerify"
)

// Switch returns the setting that turns TLS on, for an engine whose address has no scheme.
func Switch() backlog.Parameter {
	return backlog.Parameter{Name: switchOn, Kind: backlog.KindBool, Default: "false", Doc: "Speak TLS."}
}

// Settings returns the settings of TLS. host describes what the name in the server's certificate
// is compared with, such as "the host that is dialled".
func Settings(host string) []backlog.Parameter {
	return []backlog.Parameter{
		{Name: caFile, Kind: backlog.KindFile, Doc: "Certificates (PEM) of the authorities to trust, instead of the system's."},
		{Name: certFile, Kind: backlog.KindFile, Doc: "Client certificate (PEM)."},
		{Name: keyFile, Kind: backlog.KindFile, Doc: "Private key (PEM) of the client certificate."},
		{Name: serverName, Kind: backlog.KindText, Doc: "Name that the server's certificate must have, where it is not " + host + "."},
		{Name: insecureSkipVerify, Kind: backlog.KindBool, Default: "false", Doc: "Accept any certificate. For experiments only."},
	}
}

// Enabled reports whether the setting of Switch is true.
func Enabled(s backlog.Settings) bool { return s.Bool(switchOn) }

// CheckSwitched is Check for an engine with Switch.
func CheckSwitched(s backlog.Settings) error {
	return Check(s, Enabled(s), "tls: must be true for the other tls settings to have an effect")
}

// Check reports settings that are wrong or exclude each other. enabled reports whether the
// connection speaks TLS, and enable is the text of the fault that it does not although there are
// settings for it.
func Check(s backlog.Settings, enabled bool, enable string) error {
	cert, key, ca, name := s.File(certFile).Path != "", s.File(keyFile).Path != "", s.File(caFile).Path != "", s.Text(serverName)
	err := backlog.JoinFaults(
		backlog.Fault{Present: name != "" && !backlog.IsHost(name), Text: serverName + ": want a host name or an IP address"},
		backlog.Fault{Present: cert != key, Text: certFile + ", " + keyFile + ": each needs the other"},
		backlog.Fault{Present: !enabled && (cert || key || ca || name != "" || s.Bool(insecureSkipVerify)), Text: enable},
	)
	_, problem := New(s)
	return errors.Join(err, problem)
}

// New returns the configuration of a client. It does not look at whether TLS is enabled.
func New(s backlog.Settings) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         s.Text(serverName),
		InsecureSkipVerify: s.Bool(insecureSkipVerify), //nolint:gosec // asked for by name, documented as being for experiments
	}
	if ca := s.File(caFile); ca.Path != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca.Data) {
			return nil, fmt.Errorf("%s: no certificate in %q", caFile, ca.Path)
		}
	}
	cert, key := s.File(certFile), s.File(keyFile)
	if cert.Path != "" && key.Path != "" {
		pair, err := tls.X509KeyPair(cert.Data, key.Data)
		if err != nil {
			return nil, fmt.Errorf("%s %q, %s %q: %w", certFile, cert.Path, keyFile, key.Path, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
