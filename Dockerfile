FROM rust:1.95-slim AS build
WORKDIR /src
COPY . .
# Linked statically with glibc. A target named explicitly keeps the flag away from build scripts and macros,
# which cannot be linked so.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
    && RUSTFLAGS="-C target-feature=+crt-static" \
       cargo build --release --locked --package image-usage-operator --bin image-usage-operator --target "$target" \
    && mkdir -p /root-fs/etc/ssl/certs /root-fs/usr/local/bin \
    && cp "target/$target/release/image-usage-operator" /root-fs/usr/local/bin/ \
    && cp /etc/ssl/certs/ca-certificates.crt /root-fs/etc/ssl/certs/ \
    && echo 'nonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin' > /root-fs/etc/passwd \
    && echo 'nonroot:x:65532:' > /root-fs/etc/group

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="image-usage-operator" \
      org.opencontainers.image.description="Where an image runs, who pushed, pulled or deleted it, and whether it may be deleted" \
      org.opencontainers.image.source="https://github.com/imageusage/image-usage-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /root-fs/ /
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/image-usage-operator"]
CMD ["run"]
