{{- define "images.image" -}}
{{- $registry := .image.registry -}}
{{- if .global.imageRegistry }}{{ $registry = .global.imageRegistry }}{{ end -}}
{{- $mark := ":" -}}{{- $end := .image.tag | toString -}}
{{- if .image.digest }}{{ $mark = "@" }}{{ $end = .image.digest | toString }}{{ end -}}
{{- printf "%s/%s%s%s" $registry .image.repository $mark $end -}}
{{- end -}}
