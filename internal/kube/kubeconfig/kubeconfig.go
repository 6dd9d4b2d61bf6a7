package kubeconfig

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// Load returns the access to the API server of the current context. Of several files the first
// counts that has a name. It asks no API server. The error repeats no secret.
func Load(paths []string) (*rest.Config, error) {
	all, err := merge(paths)
	if err != nil {
		return nil, err
	}
	if all.CurrentContext == "" {
		return nil, errors.New("current-context: is not set, want the name of a context, as by kubectl config use-context")
	}
	var contexts, clusters, users named[int]
	for i := range all.Contexts {
		contexts.add(all.Contexts[i].Name, i)
	}
	for i := range all.Clusters {
		clusters.add(all.Clusters[i].Name, i)
	}
	for i := range all.Users {
		users.add(all.Users[i].Name, i)
	}
	at, err := contexts.find("context", all.CurrentContext)
	if err != nil {
		return nil, fmt.Errorf("current-context: %w", err)
	}
	chosen := &all.Contexts[at].Context
	if at, err = clusters.find("cluster", chosen.Cluster); err != nil {
		return nil, fmt.Errorf("context %q: %w", all.CurrentContext, err)
	}
	config, err := all.Clusters[at].Cluster.access()
	if err != nil {
		return nil, fmt.Errorf("cluster %q: %w", chosen.Cluster, err)
	}
	// Without TLS anybody on the way could read the credentials.
	if chosen.User == "" || !strings.HasPrefix(strings.ToLower(config.Host), "https://") {
		return config, nil
	}
	if at, err = users.find("user", chosen.User); err != nil {
		return nil, fmt.Errorf("context %q: %w", all.CurrentContext, err)
	}
	if err := all.Users[at].User.authenticate(config); err != nil {
		return nil, fmt.Errorf("user %q: %w", chosen.User, err)
	}
	return config, nil
}

// named finds values by their names. The first one of a name counts.
type named[T any] struct {
	names  []string
	values map[string]T
}

func (n *named[T]) add(name string, value T) {
	if n.values == nil {
		n.values = make(map[string]T)
	}
	if _, twice := n.values[name]; !twice {
		n.names, n.values[name] = append(n.names, name), value
	}
}

func (n *named[T]) find(kind, name string) (T, error) {
	value, found := n.values[name]
	if found {
		return value, nil
	}
	if near := spelling.Nearest(name, n.names); near != "" {
		return value, fmt.Errorf("there is no %s %q; did you mean %q?", kind, name, near)
	}
	return value, fmt.Errorf("there is no %s %q", kind, name)
}

// access returns the access to a cluster, without credentials.
func (c *cluster) access() (*rest.Config, error) {
	if c.Server == "" {
		return nil, errors.New("server: is missing, want the address of the API server")
	}
	config := &rest.Config{Host: c.Server, DisableCompression: c.DisableCompression}
	if strings.HasPrefix(strings.ToLower(c.Server), "https://") {
		config.TLSClientConfig = rest.TLSClientConfig{Insecure: c.Insecure, ServerName: c.TLSServerName, CAFile: c.CAFile}
	}
	if err := decode("certificate-authority-data", c.CAData, &config.CAData, &config.CAFile); err != nil {
		return nil, err
	}
	if c.ProxyURL != "" {
		proxy, err := url.Parse(c.ProxyURL)
		if err != nil || proxy.Host == "" {
			return nil, errors.New("proxy-url: want the address of a proxy, such as http://proxy.example.com:3128")
		}
		config.Proxy = http.ProxyURL(proxy)
	}
	return config, nil
}

// authenticate adds the credentials of a user.
func (u *user) authenticate(config *rest.Config) error {
	if u.AuthProvider != nil {
		return errors.New("auth-provider: is not supported, want exec")
	}
	config.BearerToken, config.BearerTokenFile = u.Token, u.TokenFile
	config.Username, config.Password = u.Username, u.Password
	config.Impersonate = rest.ImpersonationConfig{UserName: u.As, UID: u.AsUID, Groups: u.AsGroups, Extra: u.AsExtra}
	config.CertFile, config.KeyFile = u.CertFile, u.KeyFile
	if err := errors.Join(
		decode("client-certificate-data", u.CertData, &config.CertData, &config.CertFile),
		decode("client-key-data", u.KeyData, &config.KeyData, &config.KeyFile),
	); err != nil {
		return err
	}
	if u.Exec != nil {
		config.ExecProvider = u.Exec.provider()
	}
	return nil
}

// provider returns how a program is started. It cannot ask anybody: a server has no terminal.
func (p *program) provider() *clientcmdapi.ExecConfig {
	provider := &clientcmdapi.ExecConfig{
		Command: p.Command, Args: p.Args, APIVersion: p.APIVersion, InstallHint: p.InstallHint, ProvideClusterInfo: p.ProvideClusterInfo,
		InteractiveMode:         clientcmdapi.ExecInteractiveMode(cmp.Or(p.InteractiveMode, string(clientcmdapi.IfAvailableExecInteractiveMode))),
		StdinUnavailable:        true,
		StdinUnavailableMessage: "the scaler has no terminal",
	}
	for _, variable := range p.Env {
		provider.Env = append(provider.Env, clientcmdapi.ExecEnvVar{Name: variable.Name, Value: variable.Value})
	}
	return provider
}

// decode takes data in place of a file, which it stands for.
func decode(key, text string, data *[]byte, file *string) error {
	if text == "" {
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return errors.New(key + ": is not in base64")
	}
	*data, *file = decoded, ""
	return nil
}
