{{- define "tidegate.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tidegate.selector" -}}
app.kubernetes.io/name: tidegate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tidegate.labels" -}}
{{ include "tidegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "tidegate.image" -}}
{{ with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{/* From the kill order to the last connection's end, and some for the last bytes. */}}
{{- define "tidegate.grace" -}}
{{- with .Values.gateway }}{{ add .preStopSeconds .drain.settleSeconds .drain.windowSeconds 20 }}{{ end }}
{{- end }}

{{/* The file that all pods read. JSON, as Helm turns whole numbers into others in TOML. */}}
{{- define "tidegate.config" -}}
{{- if not .Values.nats.servers }}{{ fail "nats.servers: at least one is needed" }}{{ end }}
{{- $nats := dict "servers" .Values.nats.servers "replicas" (int .Values.nats.replicas) }}
{{- if .Values.nats.credentials.secret }}{{ $_ := set $nats "credentials_file" (printf "/etc/tidegate/nats/%s" .Values.nats.credentials.key) }}{{ end }}
{{- if .Values.nats.tls.secret }}
{{- $tls := dict "required" true "ca_file" "/etc/tidegate/nats-tls/ca.crt" }}
{{- if .Values.nats.tls.clientCertificate }}{{ $_ := set $tls "certificate_file" "/etc/tidegate/nats-tls/tls.crt" }}{{ $_ := set $tls "key_file" "/etc/tidegate/nats-tls/tls.key" }}{{ end }}
{{- $_ := set $nats "tls" $tls }}
{{- end }}
{{- $drain := dict "settle" (printf "%ds" (int .Values.gateway.drain.settleSeconds)) "rate" (int .Values.gateway.drain.rate) "window" (printf "%ds" (int .Values.gateway.drain.windowSeconds)) }}
{{- $gateway := dict "listen" "0.0.0.0:7400" "drain" $drain }}
{{- if .Values.gateway.tls.secret }}{{ $_ := set $gateway "tls" (dict "certificate" (list (dict "certificate_file" "/etc/tidegate/tls/tls.crt" "key_file" "/etc/tidegate/tls/tls.key"))) }}{{ end }}
{{- $control := dict "listen" "0.0.0.0:7410" }}
{{- if .Values.control.tls.secret }}{{ $_ := set $control "tls" (dict "certificate_file" "/etc/tidegate/control-tls/tls.crt" "key_file" "/etc/tidegate/control-tls/tls.key") }}{{ end }}
{{- $ours := dict "nats" $nats "gateway" $gateway "control" $control "admin" (dict "listen" "0.0.0.0:7420") "log" (dict "format" "json") }}
{{- mustMergeOverwrite (deepCopy .Values.config) $ours | mustToPrettyJson }}
{{- end }}

{{/* A role's pod; takes a dict with root, role, values and port. */}}
{{- define "tidegate.pod" -}}
{{- $root := .root }}
metadata:
  labels:
    {{- include "tidegate.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
    {{- with $root.Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    checksum/config: {{ include "tidegate.config" $root | sha256sum }}
    {{- with $root.Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "tidegate.name" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ eq .role "gateway" | ternary (include "tidegate.grace" $root) "30" }}
  {{- if or (ne .role "gateway") $root.Values.gateway.topologySpread }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "tidegate.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $.role }}
    {{- end }}
  {{- end }}
  securityContext:
    {{- $context := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault") }}
    {{- toYaml (mustMergeOverwrite $context (deepCopy $root.Values.podSecurityContext)) | nindent 4 }}
  containers:
    - name: {{ .role }}
      image: {{ include "tidegate.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [{{ .role }}, --config, /etc/tidegate/config/tidegate.json]
      env:
        - name: TIDEGATE_GATEWAY__ID
          valueFrom: { fieldRef: { fieldPath: metadata.name } }
      {{- with $root.Values.secretRefs }}
      envFrom:
        {{- range . }}
        - secretRef: { name: {{ . }} }
        {{- end }}
      {{- end }}
      ports:
        - { name: {{ .port.name }}, containerPort: {{ .port.number }} }
        - { name: admin, containerPort: 7420 }
      startupProbe:
        httpGet: { path: /startupz, port: admin }
        periodSeconds: 2
        failureThreshold: 45
      livenessProbe:
        httpGet: { path: /livez, port: admin }
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet: { path: /readyz, port: admin }
        periodSeconds: 2
        failureThreshold: 2
      {{- if and (eq .role "gateway") (gt (int $root.Values.gateway.preStopSeconds) 0) }}
      lifecycle:
        preStop: { sleep: { seconds: {{ int $root.Values.gateway.preStopSeconds }} } }
      {{- end }}
      resources: {{ toYaml .values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: config, mountPath: /etc/tidegate/config, readOnly: true }
        {{- range include "tidegate.secrets" . | fromYamlArray }}
        - { name: {{ .name }}, mountPath: /etc/tidegate/{{ .name }}, readOnly: true }
        {{- end }}
  volumes:
    - name: config
      configMap: { name: {{ include "tidegate.name" $root }} }
    {{- range include "tidegate.secrets" . | fromYamlArray }}
    - name: {{ .name }}
      secret: { secretName: {{ .secret }}, defaultMode: 0440 }
    {{- end }}
{{- end }}

{{/* The Secrets that a role mounts, each at /etc/tidegate/<name>. */}}
{{- define "tidegate.secrets" -}}
{{- with .root.Values.nats.credentials.secret }}
- { name: nats, secret: {{ . }} }
{{- end }}
{{- with .root.Values.nats.tls.secret }}
- { name: nats-tls, secret: {{ . }} }
{{- end }}
{{- if eq .role "gateway" }}{{ with .root.Values.gateway.tls.secret }}
- { name: tls, secret: {{ . }} }
{{- end }}{{ end }}
{{- if eq .role "control" }}{{ with .root.Values.control.tls.secret }}
- { name: control-tls, secret: {{ . }} }
{{- end }}{{ end }}
{{- end }}
