# The image of backlog-scaler: two static binaries, the certificates of public authorities, the licences of
# all of them and nothing else. `docker build .`, `podman build .` and `buildah build .` all make it.
#
# Reproducible: the binaries depend on nothing but the sources, VERSION, REVISION and the Go version (a test
# builds them twice and compares). For an image with the same digest as well, give BuildKit
# SOURCE_DATE_EPOCH and `--output type=image,rewrite-timestamp=true`.
#
# The base of the build is pinned by its tag. To pin it by its digest:
#   --build-arg GO_IMAGE=golang:1.26.8-bookworm@sha256:...
ARG GO_IMAGE=golang:1.26.8-bookworm

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
ARG REVISION=unknown
ENV GOCACHE=/var/cache/go-build CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS="-trimpath -buildvcs=false"
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/var/cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags "-s -w -buildid= -X main.version=$VERSION -X main.revision=$REVISION" -o /out/scaler ./cmd/scaler
# For the health check below and for clusters whose kubelet has no gRPC probes.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/var/cache/go-build \
    cd tools/healthprobe && GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags "-s -w -buildid=" -o /out/grpc-health-probe github.com/grpc-ecosystem/grpc-health-probe

FROM scratch
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.title="backlog-scaler" \
      org.opencontainers.image.description="A KEDA external scaler for queues that answers from memory and wakes idle workloads at once" \
      org.opencontainers.image.source="https://github.com/backlog-scaler/backlog-scaler" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/LICENSE /LICENSE
# Of what is linked into the binaries ("make generate" writes them), and of the certificates, which are Mozilla's.
COPY --from=build /src/licenses/ /licenses/
COPY --from=build /usr/share/doc/ca-certificates/copyright /licenses/ca-certificates.txt
COPY --from=build /out/grpc-health-probe /grpc-health-probe
COPY --from=build /out/scaler /scaler
# The number that distroless images call nonroot. The scaler writes no file anywhere.
USER 65532:65532
# gRPC for KEDA; HTTP for metrics.
EXPOSE 9090 8080
# Docker's and Podman's own check; Kubernetes ignores it and uses the probes of the chart.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/grpc-health-probe", "-addr=127.0.0.1:9090", "-service=readiness", "-connect-timeout=2s", "-rpc-timeout=2s"]
ENTRYPOINT ["/scaler"]
CMD ["serve"]
