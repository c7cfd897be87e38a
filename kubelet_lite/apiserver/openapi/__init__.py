"""OpenAPI v2 and v3, made from the types of kubelet_lite.api when they are asked for."""
