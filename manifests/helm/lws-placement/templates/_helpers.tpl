{{- define "lws-placement.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The version of the cluster, without what a vendor puts behind it. */}}
{{- define "lws-placement.schedulerImage" -}}
{{ .Values.secondScheduler.image.repository }}:
{{- .Values.secondScheduler.image.tag | default (regexReplaceAll "[-+].*$" .Capabilities.KubeVersion.Version "") }}
{{- end }}

{{- /* Everything has the same names wherever it is installed; a pod elsewhere has to be told our namespace. */}}
{{- define "lws-placement.namespaceEnv" -}}
{{- if ne .Release.Namespace "lws-placement-system" }}
- name: LWS_PLACEMENT_NAMESPACE
  value: {{ .Release.Namespace | quote }}
{{- end }}
{{- end }}

{{- /* Of a container of the Deployment: dict "root" . "container" name. */}}
{{- define "lws-placement.env" -}}
{{- $values := .root.Values }}
{{- if not $values.extender.configured }}
- name: LWS_PLACEMENT_EXTENDER_CONFIGURED
  value: "false"
{{- end }}
{{- if and $values.secondScheduler.enabled (eq .container "gate") }}
- name: LWS_PLACEMENT_MEMBER_SCHEDULER
  value: lws-placement-scheduler
{{- end }}
{{- if and (include "lws-placement.clientCA" .root) (eq .container "gate") }}
- name: LWS_PLACEMENT_WEBHOOK_CLIENT_CA
  value: /etc/lws-placement/webhook-client-ca/{{ $values.webhook.clientCA.key }}
{{- end }}
{{- range $name, $value := $values.settings }}
- name: LWS_PLACEMENT_{{ upper $name }}
  {{- if kindIs "slice" $value }}
  value: {{ join "," $value | quote }}
  {{- else if kindIs "string" $value }}
  value: {{ $value | quote }}
  {{- else }}
  value: {{ toJson $value | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* The gate's volume with the CA of kube-apiserver's client certificate, if one is named. */}}
{{- define "lws-placement.clientCA" -}}
{{- with .Values.webhook.clientCA }}
{{- if .secret }}
- name: webhook-client-ca
  secret:
    secretName: {{ .secret | quote }}
    items:
    - key: {{ .key | quote }}
      path: {{ .key | quote }}
{{- else if .configMap }}
- name: webhook-client-ca
  configMap:
    name: {{ .configMap | quote }}
    items:
    - key: {{ .key | quote }}
      path: {{ .key | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A folder, as kubelet never changes a file that is mounted alone. */}}
{{- define "lws-placement.clientCAMount" -}}
{{- if include "lws-placement.clientCA" . }}
- name: webhook-client-ca
  mountPath: /etc/lws-placement/webhook-client-ca
  readOnly: true
{{- end }}
{{- end }}
