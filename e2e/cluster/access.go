package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

// ServiceAccountKubeconfig writes a file with the access of a service account, which has the rights that roles grant it.
func (c *Cluster) ServiceAccountKubeconfig(namespace, name string) (string, error) {
	pair, err := c.ca.issue("system:serviceaccount:"+namespace+":"+name, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	if err != nil {
		return "", err
	}
	file := filepath.Join(c.dir, "kubeconfig-"+namespace+"-"+name)
	return file, c.writeKubeconfig(file, name, pair)
}

// Certificate makes a certificate of the cluster for a server of the run. It returns its file, that of its key, and that of the
// authority.
func (c *Cluster) Certificate(name string) (cert, key, ca string, err error) {
	pair, err := c.ca.issue(name)
	return pair.cert, pair.key, c.ca.caFile, err
}

// writeKubeconfig writes a file with the access of a user.
func (c *Cluster) writeKubeconfig(file, user string, pair keyPair) error {
	config := api.NewConfig()
	config.Clusters["e2e"] = &api.Cluster{Server: c.server, CertificateAuthority: c.ca.caFile}
	config.AuthInfos[user] = &api.AuthInfo{ClientCertificate: pair.cert, ClientKey: pair.key}
	config.Contexts["e2e"] = &api.Context{Cluster: "e2e", AuthInfo: user}
	config.CurrentContext = "e2e"
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return fmt.Errorf("write kubeconfig of %s: %w", user, err)
	}
	return nil
}

// ApplyRoles applies the roles and their bindings in a file of manifests, and leaves out everything else in it.
func (c *Cluster) ApplyRoles(ctx context.Context, file string) error {
	resources := map[string]string{
		"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings", "Role": "roles", "RoleBinding": "rolebindings",
	}
	data, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return fmt.Errorf("read manifests: %w", err)
	}
	applied := 0
	for document := range bytes.SplitSeq(data, []byte("\n---\n")) {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			continue // such as the notes of a chart, which are no YAML
		}
		resource, found := resources[object.GetKind()]
		if !found {
			continue
		}
		gvr := schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: resource}
		if err := c.apply(ctx, gvr, object.GetNamespace(), object); err != nil {
			return err
		}
		applied++
	}
	if applied < len(resources) {
		return fmt.Errorf("apply the roles of %s: it has %d, want at least %d", file, applied, len(resources))
	}
	return nil
}
