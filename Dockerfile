# The image of trainyard: docs/installing.md says how to build and run it. The base can be fixed by its digest:
#   docker build --build-arg NODE_IMAGE=node:22-trixie-slim@sha256:… --tag trainyard .
ARG NODE_IMAGE=node:22-trixie-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run --silent build && chmod 755 dist/cli/main.js && find dist -name '*.map' -delete
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
# tini is the first process: it ends the processes that outlive their parent, when an inspection was ended.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg tini \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/package.json /app/LICENSE /app/CHANGELOG.md ./
# So that `docker exec CONTAINER trainyard token create` works. The user "node" is of the base image.
RUN ln -s /app/dist/cli/main.js /usr/local/bin/trainyard && mkdir -m 700 /data && chown node:node /data
# The same settings of Node as `npm start`.
ENV NODE_ENV=production MALLOC_ARENA_MAX=2 NODE_OPTIONS=--max-semi-space-size=2
ENV TRAINYARD_HOST=0.0.0.0 TRAINYARD_PORT=8787 TRAINYARD_DATA=/data
USER node
VOLUME /data
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --start-interval=1s \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.TRAINYARD_PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "trainyard"]
CMD ["serve"]
