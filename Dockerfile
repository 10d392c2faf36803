# syntax=docker/dockerfile:1
# An image with nothing but the static binary and the roots of TLS. How to run it: packaging/README.md.

# Where programs are built for musl, and so statically.
FROM rust:1.95.0-alpine3.23 AS build
# hadolint ignore=DL3018
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /source
COPY . .
RUN cargo build --locked --profile dist --bin metagate && mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /data /data
COPY --from=build /source/target/dist/metagate /metagate
# Nobody who is anybody on the machine.
USER 65532:65532
ENV METAGATE_LISTEN=0.0.0.0:8080 METAGATE_STORAGE=sqlite:/data/metagate.db
VOLUME /data
# SQLite's temporary files need a folder that can be written to.
WORKDIR /data
EXPOSE 8080
ENTRYPOINT ["/metagate"]
CMD ["serve"]
