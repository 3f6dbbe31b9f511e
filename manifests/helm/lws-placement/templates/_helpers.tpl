{{- define "lws-placement.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The version of the cluster, without what a vendor puts behind it. */}}
{{- define "lws-placement.schedulerImage" -}}
{{ .Values.secondScheduler.image.repository }}:
{{- .Values.secondScheduler.image.tag | default (regexReplaceAll "[-+].*$" .Capabilities.KubeVersion.Version "") }}
{{- end }}

{{- /* Everything has the same names wherever it is installed; only the namespace has to be told. */}}
{{- define "lws-placement.namespaceEnv" -}}
{{- if ne .Release.Namespace "lws-placement-system" }}
- name: LWS_PLACEMENT_NAMESPACE
  value: {{ .Release.Namespace | quote }}
{{- end }}
{{- end }}

{{- /* Of a container of the Deployment: dict "root" . "container" name. */}}
{{- define "lws-placement.env" -}}
{{- $values := .root.Values }}
{{- include "lws-placement.namespaceEnv" .root }}
{{- if not $values.extender.configured }}
- name: LWS_PLACEMENT_EXTENDER_CONFIGURED
  value: "false"
{{- end }}
{{- if and $values.secondScheduler.enabled (eq .container "gate") }}
- name: LWS_PLACEMENT_MEMBER_SCHEDULER
  value: lws-placement-scheduler
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
