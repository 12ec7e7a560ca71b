"""HoneyHive's and OpenTelemetry's feedback, as events of ours."""
