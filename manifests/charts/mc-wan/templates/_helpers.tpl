{{/* What is said about one gateway, over what is said about both. Takes a dict of root and name. */}}
{{- define "mc-wan.gateway" -}}
{{- $common := omit .root.Values.gateways "egress" "ingress" -}}
{{- mergeOverwrite (deepCopy $common) (deepCopy (index .root.Values.gateways .name | default dict)) | toYaml -}}
{{- end -}}

{{/* Labels of every object of the chart. Takes a dict of root and name. */}}
{{- define "mc-wan.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: mc-wan
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels of pods: app and version are what Kiali groups by, the two inject labels what istiod's webhook selects by.
     Takes a dict of root and name. */}}
{{- define "mc-wan.podLabels" -}}
app: {{ .name }}
version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: mc-wan
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
sidecar.istio.io/inject: "true"
{{- with .root.Values.istio.revision }}
istio.io/rev: {{ . }}
{{- end }}
{{- end -}}

{{/* Labels of gateway pods. Takes a dict of root, name (egress or ingress) and extra labels. */}}
{{- define "mc-wan.gatewayPodLabels" -}}
{{- with .extra }}
{{- toYaml . }}
{{ end -}}
{{ include "mc-wan.podLabels" (dict "root" .root "name" (printf "mcw-%s" .name)) }}
mcw.l7mp.io/gateway: {{ .name }}
{{- end -}}

{{/* Name of a gateway's service account. Takes a dict of root and name. */}}
{{- define "mc-wan.gatewayServiceAccount" -}}
{{- if .root.Values.gateways.serviceAccountSuffix -}}
mcw-{{ .name }}-{{ .root.Values.gateways.serviceAccountSuffix }}
{{- else -}}
mcw-{{ .name }}
{{- end -}}
{{- end -}}

{{/* Name of an object of istiod's, which ends in the revision unless that is the default one; pkg/mesh names them alike.
     Takes a dict of root and name. */}}
{{- define "mc-wan.ofRevision" -}}
{{- $revision := .root.Values.istio.revision -}}
{{- if or (not $revision) (eq $revision "default") -}}
{{ .name }}
{{- else -}}
{{ .name }}-{{ $revision }}
{{- end -}}
{{- end -}}

{{/* Different nodes where possible. Takes the value of the label app. */}}
{{- define "mc-wan.spread" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            app: {{ . }}
{{- end -}}

{{/* What the values schema cannot say, in words. */}}
{{- define "mc-wan.validate" -}}
{{- if ne .Release.Namespace "mc-wan" -}}
{{- fail (printf "mc-wan must be installed in namespace mc-wan, not %s: other clusters and the dummy Services address it by that name. Use: helm install mc-wan ... --namespace mc-wan --create-namespace" .Release.Namespace) -}}
{{- end -}}
{{- if not .Values.clusterID -}}
{{- fail "clusterID is not set: give every cluster of the fleet its own id, such as --set clusterID=cluster-1" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" .Values.clusterID) -}}
{{- fail (printf "clusterID %q is not an RFC 1123 label (lower-case letters, digits and dashes, at most 63): it becomes a label value and a DNS label. Use an id such as cluster-1" .Values.clusterID) -}}
{{- end -}}
{{- range $name := list "egress" "ingress" -}}
{{- $account := include "mc-wan.gatewayServiceAccount" (dict "root" $ "name" $name) -}}
{{- if gt (len $account) 63 -}}
{{- fail (printf "gateways.serviceAccountSuffix is too long: %s has more than 63 characters" $account) -}}
{{- end -}}
{{- end -}}
{{- end -}}
