{{/* Name of the chart, at most 63 characters as labels require. */}}
{{- define "backlog-scaler.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of every object. A release named after the chart does not repeat it. At most 52 characters
   leave room for "-dashboard". */}}
{{- define "backlog-scaler.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change in the life of a release. */}}
{{- define "backlog-scaler.selectorLabels" -}}
app.kubernetes.io/name: {{ include "backlog-scaler.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "backlog-scaler.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") | trunc 63 | trimSuffix "-" }}
{{ include "backlog-scaler.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: external-scaler
app.kubernetes.io/part-of: keda
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "backlog-scaler.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "backlog-scaler.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "backlog-scaler.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The address that a ScaledObject names. */}}
{{- define "backlog-scaler.host" -}}
{{- printf "%s.%s.svc" (include "backlog-scaler.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "backlog-scaler.configMapName" -}}
{{- default (include "backlog-scaler.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{/* Nine tenths of the memory limit in bytes, for GOMEMLIMIT: the collector works harder before the
   kernel kills the process. Worked: 256Mi is 268435456 bytes, 241591910 of them are given. Empty without a limit. */}}
{{- define "backlog-scaler.goMemLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toString -}}
{{- if $limit -}}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$" $limit) -}}
{{- fail (printf "resources.limits.memory: %q is not a number with one of the units Ki, Mi, Gi, Ti, k, M, G, T" $limit) -}}
{{- end -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $number := regexFind "^[0-9.]+" $limit | float64 -}}
{{- $unit := regexFind "[A-Za-z]+$" $limit -}}
{{- mulf $number (get $units $unit) 0.9 | int64 -}}
{{- end -}}
{{- end -}}

{{/* grpc, http or exec. Kubernetes' own gRPC probes speak no TLS. */}}
{{- define "backlog-scaler.probeType" -}}
{{- $type := .Values.probes.type -}}
{{- if eq $type "auto" -}}
{{- ternary "http" "grpc" .Values.tls.enabled -}}
{{- else if and (eq $type "grpc") .Values.tls.enabled -}}
{{- fail "probes.type: grpc probes of Kubernetes speak no TLS; with tls.enabled use auto, http or exec" -}}
{{- else -}}
{{- $type -}}
{{- end -}}
{{- end -}}

{{/* One probe: dict "root" $ "service" "liveness"|"readiness" "path" "/healthz"|"/readyz" "timing" a map of
   periodSeconds, timeoutSeconds, failureThreshold. */}}
{{- define "backlog-scaler.probe" -}}
{{- $root := .root -}}
{{- $type := include "backlog-scaler.probeType" $root -}}
{{- if eq $type "grpc" -}}
grpc:
  port: {{ $root.Values.service.grpcPort }}
  service: {{ .service }}
{{- else if eq $type "http" -}}
httpGet:
  path: {{ .path }}
  port: http
{{- else -}}
exec:
  command:
    - /grpc-health-probe
    - -addr=127.0.0.1:{{ $root.Values.service.grpcPort }}
    - -service={{ .service }}
    - -connect-timeout={{ .timing.timeoutSeconds }}s
    - -rpc-timeout={{ .timing.timeoutSeconds }}s
    {{- if $root.Values.tls.enabled }}
    - -tls
    - -tls-server-name={{ include "backlog-scaler.host" $root }}
    - -tls-ca-cert={{ include "backlog-scaler.probeTLSFolder" $root }}/ca.crt
    {{- if $root.Values.tls.verifyClients }}
    - -tls-client-cert={{ include "backlog-scaler.probeTLSFolder" $root }}/tls.crt
    - -tls-client-key={{ include "backlog-scaler.probeTLSFolder" $root }}/tls.key
    {{- end }}
    {{- end }}
{{- end }}
{{- range $key := list "periodSeconds" "timeoutSeconds" "failureThreshold" }}
{{ $key }}: {{ get $.timing $key }}
{{- end }}
{{- end -}}

{{- define "backlog-scaler.probeTLSFolder" -}}
{{- ternary "/etc/backlog-scaler/probe-tls" "/etc/backlog-scaler/tls" (and .Values.tls.enabled (not (empty .Values.tls.probeSecret))) -}}
{{- end -}}

{{/* Name of the role of policies. A ClusterRole has no namespace, so its name has that of the release. */}}
{{- define "backlog-scaler.policiesName" -}}
{{- if .Values.policies.namespaces -}}
{{- printf "%s-policies" (include "backlog-scaler.fullname" .) -}}
{{- else -}}
{{- printf "%s-%s-policies" .Release.Namespace (include "backlog-scaler.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* Rights for policies. Reading needs no more than what is watched; writing is what is enabled. */}}
{{- define "backlog-scaler.policiesRules" -}}
- apiGroups: [backlog-scaler.github.io]
  resources: [autoscalerpolicies]
  verbs: [get, list, watch]
- apiGroups: [backlog-scaler.github.io]
  resources: [autoscalerpolicies/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list, watch]
{{- if .Values.policies.scale }}
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: [get, update]
{{- end }}
{{- range .Values.policies.extraTargets }}
- apiGroups: [{{ .group | quote }}]
  resources: [{{ .resource }}]
  verbs: [get]
- apiGroups: [{{ .group | quote }}]
  resources: [{{ .resource }}/scale]
  verbs: [get{{ if $.Values.policies.scale }}, update{{ end }}]
{{- end }}
{{- if .Values.policies.busyPods }}
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
{{- end }}
{{- end -}}
