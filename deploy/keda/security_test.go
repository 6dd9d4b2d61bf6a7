package keda

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/deploy/internal/helmchart"
)

func renderDeployment(t *testing.T, rendered helmchart.Rendered) appsv1.Deployment {
	t.Helper()
	object, err := rendered.Find("Deployment")
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict(object.YAML, &deployment); err != nil {
		t.Fatal(err)
	}
	return deployment
}

// podFaults evaluates the pod security standard "restricted", as the admission plugin does.
func podFaults(t *testing.T, template corev1.PodTemplateSpec) []string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	var faults []string
	for _, result := range evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec) {
		if !result.Allowed {
			faults = append(faults, result.ForbiddenReason+": "+result.ForbiddenDetail)
		}
	}
	return faults
}

func TestPodSecurity(t *testing.T) {
	t.Parallel()
	for _, set := range valueSets() {
		template := renderDeployment(t, render(t, set)).Spec.Template
		for _, fault := range podFaults(t, template) {
			t.Errorf("values %s: %s", set, fault)
		}
		pod, container := template.Spec, template.Spec.Containers[0]
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken != withPolicies(set) {
			t.Errorf("values %s: whether the pod mounts a token is not whether policies are enabled", set)
		}
		if !*container.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("values %s: the root file system can be written", set)
		}
		if *pod.SecurityContext.RunAsUser != 65532 {
			t.Errorf("values %s: user %d, want that of the image, 65532", set, *pod.SecurityContext.RunAsUser)
		}
		for _, mount := range container.VolumeMounts {
			if !mount.ReadOnly && mount.Name != "scratch" {
				t.Errorf("values %s: %s can be written", set, mount.MountPath)
			}
			if mount.SubPath != "" {
				t.Errorf("values %s: %s is mounted by subPath, which is never updated", set, mount.MountPath)
			}
		}
	}
}

// TestPodSecurityRefuses shows that the evaluation can fail.
func TestPodSecurityRefuses(t *testing.T) {
	t.Parallel()
	template := renderDeployment(t, render(t, "defaults")).Spec.Template
	privileged := true
	template.Spec.Containers[0].SecurityContext.Privileged = &privileged
	template.Spec.SecurityContext.RunAsNonRoot = nil
	template.Spec.HostNetwork = true
	if faults := podFaults(t, template); len(faults) < 3 {
		t.Errorf("faults %q, want three", faults)
	}
}

// TestKinds checks that the chart creates no unexpected object, and none with rights unless policies
// are enabled.
func TestKinds(t *testing.T) {
	t.Parallel()
	allowed := []string{
		"ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "PrometheusRule", "Service",
		"ServiceAccount", "ServiceMonitor",
	}
	rights := []string{"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Role", "RoleBinding"}
	for _, set := range valueSets() {
		for _, object := range render(t, set).Objects {
			if !slices.Contains(allowed, object.Kind()) && (!withPolicies(set) || !slices.Contains(rights, object.Kind())) {
				t.Errorf("values %s: %s makes a %s", set, object.File, object.Kind())
			}
		}
	}
}

// TestGracePeriod checks that the kubelet waits longer than the scaler needs to end.
func TestGracePeriod(t *testing.T) {
	t.Parallel()
	for _, set := range valueSets() {
		deployment := renderDeployment(t, render(t, set))
		needed := argument(t, deployment, "--drain-delay") + argument(t, deployment, "--shutdown-timeout")
		granted := time.Duration(*deployment.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
		if granted <= needed {
			t.Errorf("values %s: grace period %s, the scaler needs %s", set, granted, needed)
		}
	}
}

func argument(t *testing.T, deployment appsv1.Deployment, flag string) time.Duration {
	t.Helper()
	for _, arg := range deployment.Spec.Template.Spec.Containers[0].Args {
		if value, ok := strings.CutPrefix(arg, flag+"="); ok {
			duration, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			return duration
		}
	}
	t.Fatalf("the scaler has no argument %s", flag)
	return 0
}
