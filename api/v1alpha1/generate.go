package v1alpha1

//go:generate go tool -modfile=../../tools/controllergen/go.mod controller-gen object crd:crdVersions=v1 paths=. output:crd:dir=../../deploy/keda/chart/policies
//go:generate go tool -modfile=../../tools/controllergen/go.mod controller-gen crd:crdVersions=v1 paths=. output:crd:dir=../../internal/policycheck
