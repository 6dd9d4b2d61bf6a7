package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of all resources of the project.
const Group = "backlog-scaler.github.io"

// Version is the version of the API in this package.
const Version = "v1alpha1"

// GroupVersion is the group and version of this package.
func GroupVersion() schema.GroupVersion { return schema.GroupVersion{Group: Group, Version: Version} }

// AddToScheme adds the types of this package to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion(), &AutoscalerPolicy{}, &AutoscalerPolicyList{})
	metav1.AddToGroupVersion(s, GroupVersion())
	return nil
}
