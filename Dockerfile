# The image of devicegate: one static program that runs as nobody, and one volume.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/devicegate ./cmd/devicegate \
    && mkdir /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/devicegate /usr/local/bin/devicegate
COPY --from=build --chown=nonroot:nonroot /out/data /var/lib/devicegate
WORKDIR /var/lib/devicegate
VOLUME /var/lib/devicegate
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/usr/local/bin/devicegate", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/devicegate"]
CMD ["serve"]
