// Package kubeconfig reads the files by which kubectl finds an API server:
// https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
//
// It has what clientcmd of client-go does with them, without the registry of types that clientcmd
// fills when the program starts: docs/adr/0063-a-client-of-a-few-kinds.md.
package kubeconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// maxFile is the size of a file in bytes.
const maxFile = 1 << 20

// A file is what is used of one file. Of several the first counts that has a name.
type file struct {
	CurrentContext string `yaml:"current-context"`
	Contexts       []struct {
		Name    string  `yaml:"name"`
		Context context `yaml:"context"`
	} `yaml:"contexts"`
	Clusters []struct {
		Name    string  `yaml:"name"`
		Cluster cluster `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		Name string `yaml:"name"`
		User user   `yaml:"user"`
	} `yaml:"users"`
}

type context struct {
	Cluster string `yaml:"cluster"`
	User    string `yaml:"user"`
}

type cluster struct {
	Server             string `yaml:"server"`
	TLSServerName      string `yaml:"tls-server-name"`
	Insecure           bool   `yaml:"insecure-skip-tls-verify"`
	CAFile             string `yaml:"certificate-authority"`
	CAData             string `yaml:"certificate-authority-data"`
	ProxyURL           string `yaml:"proxy-url"`
	DisableCompression bool   `yaml:"disable-compression"`
}

type user struct {
	CertFile     string              `yaml:"client-certificate"`
	CertData     string              `yaml:"client-certificate-data"`
	KeyFile      string              `yaml:"client-key"`
	KeyData      string              `yaml:"client-key-data"`
	Token        string              `yaml:"token"`
	TokenFile    string              `yaml:"tokenFile"`
	Username     string              `yaml:"username"`
	Password     string              `yaml:"password"`
	As           string              `yaml:"as"`
	AsUID        string              `yaml:"as-uid"`
	AsGroups     []string            `yaml:"as-groups"`
	AsExtra      map[string][]string `yaml:"as-user-extra"`
	Exec         *program            `yaml:"exec"`
	AuthProvider map[string]any      `yaml:"auth-provider"`
}

// A program prints credentials.
type program struct {
	Command     string   `yaml:"command"`
	Args        []string `yaml:"args"`
	APIVersion  string   `yaml:"apiVersion"`
	InstallHint string   `yaml:"installHint"`
	Env         []struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	} `yaml:"env"`
	ProvideClusterInfo bool   `yaml:"provideClusterInfo"`
	InteractiveMode    string `yaml:"interactiveMode"`
}

// errNone is that no file exists.
var errNone = errors.New("no file with an API server")

// merge reads files and merges them. Paths in a file are relative to its folder. Files that do not
// exist are left out; the error is errNone if none does.
func merge(paths []string) (file, error) {
	var all file
	found := false
	for _, path := range paths {
		one, err := read(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return file{}, err
		}
		found = true
		if all.CurrentContext == "" {
			all.CurrentContext = one.CurrentContext
		}
		all.Contexts = append(all.Contexts, one.Contexts...)
		all.Clusters = append(all.Clusters, one.Clusters...)
		all.Users = append(all.Users, one.Users...)
	}
	if !found {
		return file{}, errNone
	}
	return all, nil
}

// read reads one file. The error repeats nothing of the file, which has secrets.
func read(path string) (file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return file{}, err
	}
	if info.Size() > maxFile {
		return file{}, fmt.Errorf("%s has %d bytes, want at most %d", path, info.Size(), maxFile)
	}
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return file{}, err
	}
	var one file
	if err := yaml.Unmarshal(data, &one); err != nil {
		return file{}, fmt.Errorf("%s is not the configuration of a client of Kubernetes", path)
	}
	folder := filepath.Dir(path)
	for i := range one.Clusters {
		anchor(folder, &one.Clusters[i].Cluster.CAFile)
	}
	for i := range one.Users {
		u := &one.Users[i].User
		anchor(folder, &u.CertFile, &u.KeyFile, &u.TokenFile)
		if u.Exec != nil && filepath.Base(u.Exec.Command) != u.Exec.Command {
			anchor(folder, &u.Exec.Command)
		}
	}
	return one, nil
}

// anchor makes relative paths relative to a folder.
func anchor(folder string, paths ...*string) {
	for _, path := range paths {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(folder, *path)
		}
	}
}
