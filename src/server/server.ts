import fastify, { type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { BASE_PATH } from '../api/base-path.js';
import { requireToken } from './auth.js';
import { hasUnreadBody } from './bodies.js';
import type { RouteContext, ServerDependencies, ServerOptions } from './context.js';
import { registerDocs } from './docs.js';
import { registerDrain } from './drain.js';
import { type ErrorResponse, errorResponse, errorResponseOf } from './errors.js';
import { parseJsonBody } from './json-body.js';
import { rejectEarly } from './reject-early.js';
import { registerDatasetRoutes } from './routes/datasets.js';
import { registerDownloadRoutes } from './routes/downloads.js';
import { registerFileRoutes } from './routes/files.js';
import { registerOperationRoutes } from './routes/operations.js';
import { registerRecheckRoutes } from './routes/rechecks.js';
import { registerUploadRoutes } from './routes/uploads.js';
import { registerWeb } from './web.js';

/** Routes that take many names allow more. */
const MAX_JSON_BYTES = 1024 * 1024;

/** A filename has up to 255 bytes, each of which takes up to three characters in a URL. */
const MAX_PARAM_LENGTH = 1024;

/** Makes the HTTP server, which does not listen yet. Call `drain` before closing it. */
export async function createServer(dependencies: ServerDependencies, options: ServerOptions) {
  const { metrics } = dependencies;
  const app = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
    bodyLimit: MAX_JSON_BYTES,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // Answers bytes that are not HTTP. Fastify's own response would not have this API's error format.
    clientErrorHandler: (error, socket) => {
      if (!socket.writable || error.code === 'ECONNRESET') return socket.destroy();
      const { body } = errorResponse('bad_request', `This is not a valid HTTP request: ${error.message}`);
      const payload = JSON.stringify(body);
      socket.end(
        `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(payload)}\r\nconnection: close\r\n\r\n${payload}`,
      );
    },
    frameworkErrors: (error, request, reply) => handleError(error, request, reply),
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(validatorCompiler);
  // Response schemas are for the OpenAPI document only; validating every response would cost more than making it.
  app.setSerializerCompiler(() => (body) => JSON.stringify(body));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) =>
    parseJsonBody(request.headers['content-type'], body),
  );
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((request, reply) => {
    const message = `${request.method} ${pathOf(request)} does not exist. See /docs for all routes.`;
    sendError(request, reply, errorResponse('route_not_found', message));
  });
  const { drain, stopping } = registerDrain(app);
  const context: RouteContext = { ...dependencies, ...options, stopping };
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    const { method } = request;
    const status = reply.statusCode;
    metrics.answered({ method, route, status, seconds: reply.elapsedTime / 1000 });
    request.log.debug({ method, path: pathOf(request), status, ms: Math.round(reply.elapsedTime) }, 'answered');
  });

  await registerDocs(app, options);
  await app.register(async (scope) => registerWeb(scope, options));
  await app.register(async (scope) => registerOperationRoutes(scope.withTypeProvider<ZodTypeProvider>(), context));
  await app.register(async (scope) => registerUploadRoutes(scope.withTypeProvider<ZodTypeProvider>(), context));
  await app.register(
    async (scope) => {
      requireToken(scope, dependencies);
      const api = scope.withTypeProvider<ZodTypeProvider>();
      registerDatasetRoutes(api, context);
      registerFileRoutes(api, context);
      registerDownloadRoutes(api, context);
      registerRecheckRoutes(api, context);
    },
    { prefix: BASE_PATH },
  );
  return Object.assign(app, { drain });
}

function handleError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const response = errorResponseOf(error, request);
  const facts = { method: request.method, path: pathOf(request), status: response.status };
  if (response.status >= 500) request.log.error({ ...facts, err: error }, response.body.error_message);
  else request.log.info(facts, response.body.error_message);
  sendError(request, reply, response);
}

function sendError(request: FastifyRequest, reply: FastifyReply, response: ErrorResponse): void {
  if (reply.raw.headersSent || reply.raw.destroyed) {
    // The response has begun, so only closing the connection tells the client that it failed.
    reply.raw.destroy();
  } else if (hasUnreadBody(request)) {
    rejectEarly(request, reply, response);
  } else {
    // Headers of the intended response, such as cache-control, don't apply to the error.
    for (const name of Object.keys(reply.getHeaders())) {
      reply.removeHeader(name);
      // A stream that failed before its first byte has already copied them to the raw response.
      reply.raw.removeHeader(name);
    }
    reply.code(response.status).headers(response.headers).type('application/json; charset=utf-8').send(response.body);
  }
}

/** The path without the query, which may hold a signature. */
function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}
