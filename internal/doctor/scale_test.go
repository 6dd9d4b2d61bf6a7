package doctor_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
)

// BenchmarkExamine examines ten thousand ScaledObjects with their Deployments, pods and triggers.
func BenchmarkExamine(b *testing.B) {
	p := healthy(b)
	for i := range 10_000 {
		name := fmt.Sprintf("w%d", i)
		p.add(`apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: ` + name + `, namespace: n` + strconv.Itoa(i%100) + `, creationTimestamp: "2026-11-01T00:00:00Z"}
spec:
  scaleTargetRef: {name: ` + name + `}
  triggers:
    - type: external-push
      metadata: {scalerAddress: "backlog-scaler.backlog-scaler.svc:9090", connection: orders, list: ` + name + `, target: "5"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ` + name + `, namespace: n` + strconv.Itoa(i%100) + `}
spec: {selector: {matchLabels: {app: ` + name + `}}}
---
apiVersion: v1
kind: Pod
metadata: {name: ` + name + `, namespace: n` + strconv.Itoa(i%100) + `, labels: {app: ` + name + `}}
status: {phase: Running}
`)
		p.Scaler.Triggers = append(p.Scaler.Triggers, facts.Running{Namespace: fmt.Sprintf("n%d", i%100), ScaledObject: name, Called: true, Since: now()})
	}
	for _, configured := range []bool{true, false} {
		b.Run(fmt.Sprintf("configured=%t", configured), func(b *testing.B) {
			if !configured {
				p.unconfigured()
			}
			b.ReportAllocs()
			for b.Loop() {
				doctor.Examine(&p.Facts)
			}
		})
	}
}
